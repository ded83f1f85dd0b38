/** One network of a package: an ONNX file, and how rows of different lengths share a run of it. */
export interface NetworkSpec {
  /** Absolute path. External data stands beside it. */
  readonly file: string;
  /** Null: rows are never padded, so only rows of one shape share a run. */
  readonly padding: PaddingRule | null;
}

/** How rows are padded to the longest row of their batch, and how their outputs are cut back. */
export interface PaddingRule {
  /** By name of the input. An input that is not here has no axis of the length. */
  readonly inputs: ReadonlyMap<string, PaddedInput>;
  /**
   * Input that masks padding with 0. An item is padded only if each of its rows has a 1 there: without one, attention spreads
   * evenly over padding too, and the result would depend on the longest row of the batch. Null: the network needs no mask.
   */
  readonly mask: string | null;
  /**
   * Outputs of this rank have the length along this axis, and so has every output axis that is named as the length of the inputs
   * is. `uncut`: outputs are handed to the task as long as they ran.
   */
  readonly outputs: { readonly rank: number; readonly axis: number } | 'uncut';
}

/** An input that grows with the length. */
export interface PaddedInput {
  /** Axis of the length, with the batch as axis 0; padded at its end. */
  readonly axis: number;
  /** Padding value; an integer where the input has integers. */
  readonly fill: number;
}
