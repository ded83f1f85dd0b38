/** What a process that runs models gets of this process's environment: nothing that could be a secret. */
const NAMES = [
  'NODE_COMPILE_CACHE',
  'NODE_V8_COVERAGE',
  'LD_LIBRARY_PATH',
  'TMPDIR',
  'TZ',
  // Which graphics card, and which driver of it.
  'CUDA_VISIBLE_DEVICES',
  'VK_DRIVER_FILES',
  'VK_ICD_FILENAMES',
];

export function servingEnvironment(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    NAMES.flatMap((name) => {
      const value = environment[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
