export { priceListAt } from './price-lists.ts';
export { amountOf, compilePriceList, sumAmounts, type CompiledPriceList, type RatedLine, type Rating } from './rating.ts';
