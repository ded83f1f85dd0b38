import type { WeirFile } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import { elementCount, END_OUTPUT, PROBABILITY_OUTPUT, START_OUTPUT, toHalfBits, type InferenceUsage } from '@weir/open-inference';
import { MODEL, type ModelPackage } from '../../model-package/model-package.ts';
import { invalidFile } from '../../model-package/package-files.ts';
import type { OnnxTensor } from '../../runtime/messages.ts';
import { audioSeconds } from '../audio-seconds.ts';
import { assertBase64, bytesOfItem } from '../binary-items.ts';
import { failed, numbersOf, runPrepared } from '../prepared-run.ts';
import { itemsOf, numberParameter, processedInput } from '../processed-input.ts';
import { stateFeeds, statesOf } from '../recurrent-state.ts';
import { sequenceOf } from '../sequences.ts';
import { describeTensor, signatureOfRole, type Signature, type SignatureTensor } from '../signature.ts';
import { defineTask } from '../task-definition.ts';
import type { SequenceState, TaskAnswer, TaskCall } from '../task.ts';
import { Turns } from '../turns.ts';
import { resampled } from './resampling.ts';
import { NOTHING_HEARD, SpeechFinder, type SpeechProgress, type SpeechSegment } from './speech-segments.ts';
import { audioError, monoSamples, readWaveFile } from './wave-file.ts';

type AudioSection = NonNullable<WeirFile['audio']>;

interface Listener {
  readonly audio: AudioSection;
  readonly input: SignatureTensor;
  readonly sampleRateInput: SignatureTensor | null;
  /** The output that is no state: the probability. */
  readonly output: string;
}

/** What a sequence remembers beside the states of the network. */
interface Memory {
  /** Samples that are put in front of the next frame. */
  readonly context: Float32Array;
  /** Samples that do not fill a frame yet. */
  readonly rest: Float32Array;
  readonly progress: SpeechProgress;
}

/** Sound in, the probability of speech for each frame and the stretches of speech out. */
export const voiceActivityDetection = defineTask({
  assertFits: (modelPackage, signatures) => {
    listenerOf(modelPackage, signatures);
  },
  prepare: listenerOf,
  infer: detectSpeech,
});

function listenerOf({ weir }: ModelPackage, signatures: ReadonlyMap<string, Signature>): Listener {
  const { audio, state = [] } = weir;
  if (audio === undefined) throw invalidFile('weir.json', 'needs the section "audio" for the task voice-activity-detection');
  const { inputs, outputs } = signatureOfRole(signatures, MODEL);
  const isState = (name: string, side: 'input' | 'output'): boolean => state.some((each) => each[side] === name);
  const sampleRateInput = inputs.find(({ name }) => name === audio.sampleRateInput) ?? null;
  const [input, ...otherInputs] = inputs.filter((each) => each !== sampleRateInput && !isState(each.name, 'input'));
  const [output, ...otherOutputs] = outputs.filter(({ name }) => !isState(name, 'output'));
  const samples = audio.contextSamples + audio.frameSamples;
  const isNumber = (tensor: SignatureTensor | undefined): boolean => tensor?.datatype === 'FP32' || tensor?.datatype === 'FP16';
  if (
    input === undefined ||
    output === undefined ||
    otherInputs.length + otherOutputs.length > 0 ||
    !isNumber(input) ||
    !isNumber(output) ||
    input.dims.length !== 2 ||
    [1, samples].some((size, axis) => typeof input.dims[axis] === 'number' && input.dims[axis] !== size) ||
    (sampleRateInput !== null && sampleRateInput.datatype !== 'INT64')
  )
    throw new AppError('model.package_invalid', {
      message: `The model does not fit its task voice-activity-detection: beside its states and the sample rate one input FP32 [batch, ${samples}] and one output FP32 are needed, there is ${[...inputs, ...outputs].map(describeTensor).join(', ')}.`,
    });
  return { audio, input, sampleRateInput, output: output.name };
}

async function detectSpeech(call: TaskCall, listener: Listener): Promise<TaskAnswer> {
  const { audio } = listener;
  const threshold = numberParameter(call.request.parameters, 'threshold', { minimum: 0, maximum: 1, byDefault: audio.threshold });
  const turns = new Turns(call.signal);
  const { samples, seconds } = await soundOf(call, audio.sampleRateHz, turns);
  const { sequence } = call;
  // A sequence may go on: what does not fill a frame waits for the sound that follows.
  const isLast = sequence === null || (sequenceOf(call.request.parameters)?.isEnd ?? false);
  const memory = memoryOf(sequence, audio);
  const usage: InferenceUsage = { inputs: 1, 'input-tokens': 0, 'audio-seconds': seconds };
  const heard = await hear(call, listener, samples, memory, { threshold, isLast, usage });
  if (sequence !== null) remember(sequence, heard);
  const { probabilities, segments } = heard;
  return {
    outputs: [
      { name: PROBABILITY_OUTPUT, datatype: 'FP32', shape: [probabilities.length], data: Float32Array.from(probabilities) },
      { name: START_OUTPUT, datatype: 'FP64', shape: [segments.length], data: Float64Array.from(segments, ({ start }) => start) },
      { name: END_OUTPUT, datatype: 'FP64', shape: [segments.length], data: Float64Array.from(segments, ({ end }) => end) },
    ],
    usage,
  };
}

interface Sound {
  /** As the network wants it: one channel, at its sample rate. */
  readonly samples: Float32Array;
  /** Duration of the file, as it is metered. */
  readonly seconds: number;
}

async function soundOf(call: TaskCall, sampleRateHz: number, turns: Turns): Promise<Sound> {
  assertBase64(call);
  const [item] = itemsOf(processedInput(call), 1);
  const bytes = item === undefined ? null : await bytesOfItem(item, turns);
  if (bytes === null) throw audioError('is not base64');
  const file = readWaveFile(bytes);
  const { maxAudioSeconds } = call.limits;
  const seconds = file.length / file.sampleRateHz;
  if (seconds > maxAudioSeconds) throw audioError(`lasts ${seconds.toFixed(1)} seconds, at most ${maxAudioSeconds} are allowed`);
  return {
    samples: await resampled(await monoSamples(file, turns), file.sampleRateHz, sampleRateHz, turns),
    seconds: audioSeconds(file.length, file.sampleRateHz),
  };
}

interface Heard {
  readonly probabilities: readonly number[];
  /** Speech that ended in this sound; seconds since the beginning of the sequence. */
  readonly segments: readonly SpeechSegment[];
  /** For the next frame, by the names of the inputs. */
  readonly states: readonly OnnxTensor[];
  readonly memory: Memory;
}

/** Runs the network frame by frame: each needs the state that the one before it left. */
async function hear(
  call: TaskCall,
  { audio, input, sampleRateInput, output }: Listener,
  samples: Float32Array,
  { context, rest, progress }: Memory,
  { threshold, isLast, usage }: { readonly threshold: number; readonly isLast: boolean; readonly usage: InferenceUsage },
): Promise<Heard> {
  const { frameSamples, contextSamples, sampleRateHz } = audio;
  const states = statesOf(call);
  const sound = new Float32Array(contextSamples + rest.length + samples.length);
  sound.set(context);
  sound.set(rest, contextSamples);
  sound.set(samples, contextSamples + rest.length);
  const length = sound.length - contextSamples;
  const frames = isLast ? Math.ceil(length / frameSamples) : Math.floor(length / frameSamples);
  const finder = new SpeechFinder(frameSamples / sampleRateHz, threshold, progress);
  const probabilities: number[] = [];
  const segments: (SpeechSegment | null)[] = [];
  let feeds = stateFeeds(states, call.sequence, 1);
  for (let frame = 0; frame < frames; frame++) {
    // The last frame is filled up with silence.
    const data = new Float32Array(contextSamples + frameSamples);
    data.set(sound.subarray(frame * frameSamples, frame * frameSamples + data.length));
    const results = await runPrepared(call, {
      network: MODEL,
      feeds: [soundFeed(input, data), ...(sampleRateInput === null ? [] : [sampleRateFeed(sampleRateInput, sampleRateHz)]), ...feeds],
      outputs: [output, ...states.map((state) => state.output)],
      // The audio is one input, metered whole when its first frame runs.
      ...(frame === 0 ? { usage } : {}),
    });
    const probability = probabilityOf(results[0]);
    probabilities.push(probability);
    segments.push(finder.hear(probability));
    feeds = states.map(({ input: name }, index) => nextState(name, results[index + 1]));
  }
  if (isLast) segments.push(finder.end((progress.frames * frameSamples + length) / sampleRateHz));
  const used = Math.min(frames * frameSamples, length);
  return {
    probabilities,
    segments: segments.filter((segment) => segment !== null),
    states: feeds,
    memory: { context: sound.slice(used, used + contextSamples), rest: sound.slice(contextSamples + used), progress: finder.progress },
  };
}

function soundFeed({ name, datatype }: SignatureTensor, data: Float32Array): OnnxTensor {
  const dims = [1, data.length];
  return datatype === 'FP16' ? { name, type: 'float16', dims, data: toHalfBits(data) } : { name, type: 'float32', dims, data };
}

function sampleRateFeed({ name, dims }: SignatureTensor, sampleRateHz: number): OnnxTensor {
  return { name, type: 'int64', dims: dims.length === 0 ? [] : [1], data: BigInt64Array.of(BigInt(sampleRateHz)) };
}

function nextState(name: string, tensor: OnnxTensor | undefined): OnnxTensor {
  if (tensor === undefined) throw failed(`it gave nothing for its state ${JSON.stringify(name)}`);
  return { ...tensor, name };
}

function probabilityOf(output: OnnxTensor | undefined): number {
  const { data, dims } = numbersOf(output, output?.dims.map(() => null) ?? []);
  const [probability] = Array.from(data);
  if (probability === undefined || elementCount(dims) !== 1) throw failed('it gave something else than one probability for a frame');
  return probability;
}

const CONTEXT = 'context';
const REST = 'rest';
const PROGRESS = 'progress';

function memoryOf(sequence: SequenceState | null, { contextSamples }: AudioSection): Memory {
  const [frames = 0, speechStart = -1, silenceStart = -1] = sequence?.memory.get(PROGRESS) ?? [];
  return {
    context: sequence?.memory.get(CONTEXT) ?? new Float32Array(contextSamples),
    rest: sequence?.memory.get(REST) ?? new Float32Array(0),
    progress: sequence?.memory.has(PROGRESS) === true ? { frames, speechStart, silenceStart } : NOTHING_HEARD,
  };
}

function remember({ tensors, memory }: SequenceState, { states, memory: { context, rest, progress } }: Heard): void {
  for (const state of states) tensors.set(state.name, state);
  memory.set(CONTEXT, context);
  memory.set(REST, rest);
  // Frames, not samples: 2^24 of them, which single precision counts exactly, last for days.
  memory.set(PROGRESS, Float32Array.of(progress.frames, progress.speechStart, progress.silenceStart));
}
