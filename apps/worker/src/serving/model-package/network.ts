/** One network of a package: an ONNX file, and how rows of different lengths share a run of it. */
export interface NetworkSpec {
  /** Absolute path. External data stands beside it. */
  readonly file: string;
  /** Null: rows are never padded, so only rows of one shape share a run. */
  readonly padding: PaddingRule | null;
}

/** How rows are made as long as the longest one of their run, and how what the network gives for them is cut back. */
export interface PaddingRule {
  /** By name of the input. An input that is not here has no axis of the length. */
  readonly inputs: ReadonlyMap<string, PaddedInput>;
  /**
   * Outputs of this rank have the length along this axis, and lose there what was padded. Outputs of another rank say one
   * thing of each row, whatever its length. Null: all do.
   */
  readonly outputs: { readonly rank: number; readonly axis: number } | null;
}

/** An input that grows with the length. */
export interface PaddedInput {
  /** Axis of the length, with the batch as axis 0; filled at its end. */
  readonly axis: number;
  /** Fills it; a whole number where the input has whole numbers. */
  readonly fill: number;
}
