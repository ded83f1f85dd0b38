/** The people, tenant, models and plan that a new installation starts with. */
export const DEMONSTRATION = {
  operator: { email: 'operator@weir.example', name: 'Olive Operator' },
  tenant: { slug: 'acme', displayName: 'Acme' },
  owner: { email: 'admin@acme.example', name: 'Ada Admin' },
  apiKeyName: 'demonstration',
  models: [
    { name: 'digits', folder: 'models/digits', version: '1.0.0' },
    { name: 'sentiment', folder: 'models/sentiment', version: '1.0.0' },
    { name: 'digits-grid', folder: 'models/digits-grid', version: '1.0.0' },
    { name: 'digit-generator', folder: 'models/digit-generator', version: '1.0.0' },
    { name: 'emoji-group', folder: 'models/emoji-group', version: '1.0.0' },
    { name: 'library-recommender', folder: 'models/library-recommender', version: '1.0.0' },
    { name: 'read-text', folder: 'models/read-text', version: '1.0.0' },
    { name: 'sentence-embedder', folder: 'models/sentence-embedder', version: '1.0.0' },
    { name: 'voice-activity', folder: 'models/voice-activity', version: '1.0.0' },
  ],
  plan: {
    code: 'starter',
    displayName: 'Starter',
    currency: 'EUR',
    // `*` prices the models that tenants publish themselves.
    rates: [
      { model: '*', meter: 'requests', unitAmount: '0.0010', per: 1 },
      { model: 'digits', meter: 'requests', unitAmount: '0.0005', per: 1 },
      { model: 'digits', meter: 'inputs', unitAmount: '0.0010', per: 1 },
      { model: 'sentiment', meter: 'requests', unitAmount: '0.0002', per: 1 },
      { model: 'sentiment', meter: 'input-tokens', unitAmount: '0.15', per: 1000 },
      { model: 'digits-grid', meter: 'inputs', unitAmount: '0.0002', per: 1 },
      { model: 'digit-generator', meter: 'inputs', unitAmount: '0.0010', per: 1 },
      { model: 'emoji-group', meter: 'inputs', unitAmount: '0.0010', per: 1 },
      { model: 'library-recommender', meter: 'requests', unitAmount: '0.0003', per: 1 },
      { model: 'read-text', meter: 'inputs', unitAmount: '0.0100', per: 1 },
      { model: 'sentence-embedder', meter: 'input-tokens', unitAmount: '0.02', per: 1000 },
      { model: 'voice-activity', meter: 'requests', unitAmount: '0.0010', per: 1 },
      { model: 'voice-activity', meter: 'audio-seconds', unitAmount: '0.0001', per: 1 },
    ],
  },
} as const;
