// What a model file may have of everything. Large models of today have a tenth of it; files that are made to cost time or memory
// have more. Together they hold what reading takes to two seconds of work and 256 MiB, for whatever file.

/** ONNX Runtime takes four times as long to load twice as many; these load in seconds. */
export const MAX_NODES = 100_000;
export const MAX_TENSORS = 100_000;
export const MAX_FUNCTIONS = 10_000;
/** Functions that call functions. ONNX Runtime overflows its stack somewhere between a hundred and three thousand. */
export const MAX_FUNCTION_DEPTH = 50;
/** Graphs in graphs. The Protocol Buffers of ONNX Runtime take 31. */
export const MAX_GRAPH_DEPTH = 16;
export const MAX_VALUES = 1_000;
export const MAX_AXES = 64;
export const MAX_OPSETS = 100;
export const MAX_METADATA = 1_000;
export const MAX_METADATA_BYTES = 65_536;
/** Of inputs and outputs, of their axes, and of operators. */
export const MAX_PUBLIC_NAME_BYTES = 512;
/** Of values between nodes, which exporters derive from paths in source code. */
export const MAX_NAME_BYTES = 4_096;
/** All names of values together. */
export const MAX_NAMES_BYTES = 33_554_432;
/** A location of external data. */
export const MAX_LOCATION_BYTES = 1_024;
