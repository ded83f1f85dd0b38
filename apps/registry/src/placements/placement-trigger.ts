import { Injectable } from '@nestjs/common';

/** Lets whoever changes a deployment ask for a look at the placements, without knowing who looks. */
@Injectable()
export class PlacementTrigger {
  #onWake: () => void = () => undefined;

  /** Called at each `wake`. */
  listen(onWake: () => void): void {
    this.#onWake = onWake;
  }

  wake(): void {
    this.#onWake();
  }
}
