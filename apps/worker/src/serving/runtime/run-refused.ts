/** ONNX Runtime refused a run; `message` is fit for callers. Whose fault it is, the task knows. */
export class RunRefusedError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'RunRefusedError';
  }
}
