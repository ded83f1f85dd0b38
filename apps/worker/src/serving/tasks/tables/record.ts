import type { Feature } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import { itemField } from '../processed-input.ts';

/** A JSON object of one row, by the names of its features. */
export type DataRecord = Readonly<Record<string, unknown>>;

/** A feature as the model is given it: a number, or one for each value of a category; the category itself where it takes text. */
export type FeatureValue = { readonly numbers: readonly number[]; readonly text: string };

/** Names in a message: enough to see the mistake. */
const MAX_NAMES = 20;

/** How many numbers of the model's input a feature fills. */
export function widthOf(feature: Feature): number {
  return feature.kind === 'category' && feature.encoding === 'one-hot' ? feature.values.length : 1;
}

/**
 * The record that stands at a place of the request.
 *
 * @throws model.input_invalid naming the item
 */
export function parseDataRecord(text: string, item: number): DataRecord {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    throw invalid(item, 'expected a JSON object of features, got what is not JSON', error);
  }
  if (!isRecord(content)) throw invalid(item, `expected a JSON object of features, got ${kindOf(content)}`);
  return content;
}

/**
 * The values of a record in the order of the features.
 *
 * @throws model.input_invalid naming the item and the feature, what is expected and what came
 */
export function featureValues(record: DataRecord, features: readonly Feature[], item: number): FeatureValue[] {
  const known = new Set(features.map(({ name }) => name));
  const unknown = Object.keys(record).find((name) => !known.has(name));
  if (unknown !== undefined) throw invalid(item, `unknown feature ${quoted(unknown)}; the model takes ${listOf([...known])}`);
  return features.map((feature) => {
    const given = Object.hasOwn(record, feature.name) ? record[feature.name] : undefined;
    const value = given === undefined || given === null ? feature.default : given;
    if (value === undefined) throw invalid(item, `missing feature ${quoted(feature.name)}, ${describe(feature)}`);
    return feature.kind === 'number' ? numberValue(value, feature, item) : categoryValue(value, feature, item);
  });
}

function numberValue(value: unknown, feature: Extract<Feature, { kind: 'number' }>, item: number): FeatureValue {
  const { minimum = -Infinity, maximum = Infinity, mean, deviation } = feature;
  if (typeof value !== 'number' || !Number.isFinite(value) || value < minimum || value > maximum) throw unfit(value, feature, item);
  return { numbers: [(value - mean) / deviation], text: String(value) };
}

function categoryValue(value: unknown, feature: Extract<Feature, { kind: 'category' }>, item: number): FeatureValue {
  const text = typeof value === 'number' || typeof value === 'boolean' ? String(value) : value;
  const position = typeof text === 'string' ? feature.values.indexOf(text) : -1;
  if (typeof text !== 'string' || position === -1) throw unfit(value, feature, item);
  const numbers = feature.encoding === 'index' ? [position] : feature.values.map((_, index) => (index === position ? 1 : 0));
  return { numbers, text };
}

function unfit(value: unknown, feature: Feature, item: number): AppError {
  const got =
    typeof value === 'number' || typeof value === 'boolean' ? String(value) : typeof value === 'string' ? quoted(value) : kindOf(value);
  return invalid(item, `feature ${quoted(feature.name)}: expected ${describe(feature)}, got ${got}`);
}

/** What a feature may be, in words. */
function describe(feature: Feature): string {
  if (feature.kind === 'category') return `one of ${listOf(feature.values)}`;
  const { minimum, maximum } = feature;
  if (minimum !== undefined && maximum !== undefined) return `a number from ${minimum} to ${maximum}`;
  if (minimum !== undefined) return `a number of at least ${minimum}`;
  return maximum === undefined ? 'a number' : `a number of at most ${maximum}`;
}

function listOf(names: readonly string[]): string {
  const shown = names.slice(0, MAX_NAMES).map(quoted).join(', ');
  return names.length > MAX_NAMES ? `${shown} and ${names.length - MAX_NAMES} more` : shown;
}

/** A caller's own text in a message: short. */
function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function isRecord(value: unknown): value is DataRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(item: number, problem: string, cause?: unknown): AppError {
  return new AppError('model.input_invalid', { field: itemField(item), message: `record ${item}: ${problem}`, cause });
}
