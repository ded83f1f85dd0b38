const MAX_LENGTH = 300;

/** ONNX Runtime's messages for callers: without the paths of this machine and its own sources, in one short line. */
export function scrubbed(message: string): string {
  return message
    .replaceAll(/(?:(?<![A-Za-z])[A-Za-z]:)?(?:[\\/][\w.@+~-]+){2,}[\\/]?(?::\d+)?/g, '[path]')
    .replaceAll(/\s+/g, ' ')
    .trim()
    .slice(0, MAX_LENGTH);
}
