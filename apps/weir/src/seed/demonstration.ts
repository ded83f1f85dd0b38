/** The people, tenant, models and plan that a new installation starts with. */
export const DEMONSTRATION = {
  operator: { email: 'operator@weir.example', name: 'Olive Operator' },
  tenant: { slug: 'acme', displayName: 'Acme' },
  owner: { email: 'admin@acme.example', name: 'Ada Admin' },
  apiKeyName: 'demonstration',
  models: [
    { name: 'digits', folder: 'models/digits', version: '1.0.0' },
    { name: 'sentiment', folder: 'models/sentiment', version: '1.0.0' },
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
    ],
  },
} as const;
