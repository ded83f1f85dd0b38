import { Inject, Injectable } from '@nestjs/common';
import type { DeploymentState } from '@weir/contracts';
import type { Clock } from '@weir/kernel';
import { AppError } from '@weir/kernel';
import type { EncodedMessage } from '@weir/open-inference';
import { CLOCK, SETTINGS } from '@weir/platform/service';
import { inSpan } from '@weir/platform/telemetry';
import type { ReadyWorker } from '../projections/worker-directory.ts';
import type { GatewaySettings } from '../settings.ts';
import { UsageSpool } from '../spool/usage-spool.ts';
import { Admission } from './admission.ts';
import type { CallerPresence } from './caller-presence.ts';
import { CATALOGUE, type Catalogue } from './catalogue.ts';
import { grantFor, type Grant } from './grants.ts';
import { identityOf, receiptIdsOf, type ReceiptIds } from './idempotency/idempotency-key.ts';
import { IdempotentCalls } from './idempotency/idempotent-calls.ts';
import type { KeptAnswer } from './idempotency/kept-answers.ts';
import { latencyMsOf, type InferenceAnswer, type InferenceCall } from './inference.ts';
import { InterruptedCalls } from './interrupted-calls.ts';
import { RESERVATIONS, type Reservations } from './reservations.ts';
import { Router } from './routing.ts';
import { Settlements } from './settlement.ts';
import { InterruptedCallError, WorkerClient, WorkerLostError, type WorkerAnswer } from './worker-client.ts';

/** A call that lost its worker is tried on this many others: running a model has no effect, so it may be repeated. */
const MAX_OTHER_WORKERS = 1;

/** An answer with all that is kept of it where it may be asked for again. */
interface Answered<Output> extends Pick<InferenceAnswer<Output>, 'output' | 'latencyMs' | 'isRepeated'> {
  readonly answer: KeptAnswer;
}

/**
 * The pipeline that every inference surface goes through: authenticate (the edge has done it), authorise, admit,
 * route, run, settle, answer. Metered is what is answered, and what had begun to run when its caller stopped waiting.
 */
@Injectable()
export class InferenceService {
  constructor(
    @Inject(SETTINGS) private readonly settings: GatewaySettings,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(CATALOGUE) private readonly catalogue: Catalogue,
    @Inject(Admission) private readonly admission: Admission,
    @Inject(RESERVATIONS) private readonly reservations: Reservations,
    @Inject(Router) private readonly router: Router,
    @Inject(WorkerClient) private readonly workers: WorkerClient,
    @Inject(Settlements) private readonly settlements: Settlements,
    @Inject(InterruptedCalls) private readonly interruptedCalls: InterruptedCalls,
    @Inject(UsageSpool) private readonly spool: UsageSpool,
    @Inject(IdempotentCalls) private readonly idempotentCalls: IdempotentCalls,
  ) {}

  /**
   * What a call may run. Every call is asked this when it runs; callers with many ask before.
   *
   * @throws access.forbidden, model.not_found, subscription.required, price.missing
   */
  authorise(call: Pick<InferenceCall, 'principal' | 'model' | 'alias' | 'version'>): Grant {
    return grantFor(this.catalogue, call, this.clock.now());
  }

  /**
   * Runs a call and records its usage before it returns.
   *
   * @throws AppError every refusal and failure in the terms of the error table
   */
  async infer<Output>(call: InferenceCall<Output>): Promise<InferenceAnswer<Output>> {
    const grant = this.authorise(call);
    const permit = await this.admission.admit(call);
    try {
      const { answer, output, latencyMs, isRepeated } = await this.answer(call, grant);
      const { receiptId, model, version, quantities, cost } = answer;
      return { receiptId, model, version, output, quantities, cost, latencyMs, isRepeated, rateLimit: permit.rateLimit };
    } finally {
      permit.release();
    }
  }

  private async answer<Output>(call: InferenceCall<Output>, grant: Grant): Promise<Answered<Output>> {
    const { deployment } = grant;
    const message = call.request(deployment);
    const { idempotencyKey } = call;
    if (idempotencyKey === undefined) return this.runAndSettle(call, grant, message, null);
    const { tenantId } = call.principal;
    const { modelId } = deployment;
    const identity = identityOf({ tenantId, modelId, key: idempotencyKey.value, alias: call.alias, version: call.version, message });
    const timeoutMs = this.deadlineMs(call) - performance.now();
    let answered: Answered<Output> | undefined;
    const { answer, isRepeated } = await this.idempotentCalls.once(
      { tenantId, identity, field: idempotencyKey.field, timeoutMs, caller: call.caller },
      async () => {
        answered = await this.runAndSettle(call, grant, message, receiptIdsOf(identity, this.clock.now()));
        return answered.answer;
      },
    );
    if (!isRepeated && answered !== undefined) return answered;
    return { answer, output: call.read(answer.message, deployment), latencyMs: latencyMsOf(call), isRepeated };
  }

  private async runAndSettle<Output>(
    call: InferenceCall<Output>,
    grant: Grant,
    request: EncodedMessage,
    receipt: ReceiptIds | null,
  ): Promise<Answered<Output>> {
    const { model, version } = grant.deployment;
    if (call.caller?.isGone === true) throw new AppError('request.cancelled');
    // With a key it goes on when its caller disconnects: the answer is stored for the repeat that such a caller sends.
    const caller = receipt === null ? call.caller : undefined;
    const leave = this.spool.enter();
    try {
      const reservation = this.reservations.reserve(call.principal.tenantId, grant.estimate);
      try {
        const { message, quantities } = await inSpan('run', {}, () => this.run(call, grant, request, caller));
        const output = call.read(message, grant.deployment);
        if (caller?.isGone === true) throw new InterruptedCallError('request.cancelled', quantities);
        const { latencyMs, ...settlement } = await inSpan('settle', {}, () => this.settlements.settle(call, grant, quantities, receipt));
        reservation.settle(settlement.cost);
        return { answer: { ...settlement, model, version, message }, output, latencyMs, isRepeated: false };
      } catch (thrown) {
        const { error, cost } = await this.interruptedCalls.settle(call, grant, thrown);
        if (cost !== null) reservation.settle(cost);
        throw error;
      } finally {
        reservation.release();
      }
    } finally {
      leave();
    }
  }

  private async run(
    call: InferenceCall,
    { deployment }: Grant,
    message: EncodedMessage,
    caller: CallerPresence | undefined,
  ): Promise<WorkerAnswer> {
    const lost = new Set<string>();
    for (;;) {
      const worker = this.workerFor(call, deployment, lost);
      const timeoutMs = this.deadlineMs(call) - performance.now();
      if (timeoutMs <= 0) throw new AppError('request.timeout');
      const leave = this.router.track(worker);
      try {
        return await this.workers.infer({
          url: worker.url,
          modelId: deployment.modelId,
          model: deployment.model,
          version: deployment.version,
          principal: call.principal,
          requestId: call.requestId,
          message,
          priority: call.priority,
          timeoutMs,
          caller,
        });
      } catch (error) {
        if (!(error instanceof WorkerLostError)) throw error;
        // The state went with the worker; another one would begin with none and say so to nobody.
        if (call.sequenceId !== undefined) throw new AppError('sequence.lost', { cause: error });
        lost.add(worker.id);
        if (lost.size > MAX_OTHER_WORKERS) throw new AppError('worker.unreachable', { cause: error, retryAfterMs: 1_000 });
      } finally {
        leave();
      }
    }
  }

  private workerFor(call: InferenceCall, deployment: DeploymentState, lost: ReadonlySet<string>): ReadyWorker {
    if (call.sequenceId === undefined) return this.router.choose(deployment, lost);
    return this.router.chooseFor(deployment, `${call.principal.tenantId} ${deployment.modelId} ${call.sequenceId}`);
  }

  /** On the monotonic clock. */
  private deadlineMs({ arrivedAtMs, timeoutMs }: InferenceCall): number {
    return arrivedAtMs + Math.min(timeoutMs ?? Infinity, this.settings.inferenceTimeoutMs);
  }
}
