/**
 * The variables of the worker's environment that a process which runs models gets: nothing that could be a secret, and no
 * NODE_COMPILE_CACHE, a folder of code that the services load.
 */
const NAMES = [
  'NODE_V8_COVERAGE',
  'LD_LIBRARY_PATH',
  'TMPDIR',
  'TZ',
  // Which graphics card, and which driver of it.
  'CUDA_VISIBLE_DEVICES',
  'VK_DRIVER_FILES',
  'VK_ICD_FILENAMES',
];

/** What it is told beside. */
const TOLD = {
  /** ONNX Runtime would tell its makers about every model that it loads, and keep what it could not send in the home folder. */
  ORT_DISABLE_TELEMETRY: '1',
  /**
   * glibc keeps what is freed for later and learns to keep larger and larger pieces; a network whose weights are in its own
   * file then costs up to half as much again, for ever. Pieces of a mebibyte and more go back to the system.
   */
  MALLOC_MMAP_THRESHOLD_: String(2 ** 20),
};

/** The whole environment of a serving process. */
export function servingEnvironment(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const passed = NAMES.flatMap((name) => {
    const value = environment[name];
    return value === undefined ? [] : [[name, value]];
  });
  return { ...TOLD, ...Object.fromEntries(passed) };
}
