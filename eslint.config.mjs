import nx from '@nx/eslint-plugin';
import tseslint from 'typescript-eslint';

/** Each layer may use what stands before it: kernel ← contracts ← pure ← platform ← testing. */
const layers = [
  { sourceTag: 'type:lib', onlyDependOnLibsWithTags: ['type:lib'] },
  { sourceTag: 'layer:kernel', onlyDependOnLibsWithTags: ['layer:kernel'] },
  { sourceTag: 'layer:contracts', onlyDependOnLibsWithTags: ['layer:kernel', 'layer:contracts'] },
  { sourceTag: 'layer:pure', onlyDependOnLibsWithTags: ['layer:kernel', 'layer:contracts'] },
  { sourceTag: 'layer:platform', onlyDependOnLibsWithTags: ['layer:kernel', 'layer:contracts', 'layer:pure', 'layer:platform'] },
  { sourceTag: 'layer:testing', onlyDependOnLibsWithTags: ['type:lib'] },
];

/** Apps use libraries and never each other; what serves tests stays in specs. */
const servedLayers = ['layer:kernel', 'layer:contracts', 'layer:pure', 'layer:platform'];
const appsInProduction = { sourceTag: 'type:app', onlyDependOnLibsWithTags: servedLayers };
const appsInSpecs = { sourceTag: 'type:app', onlyDependOnLibsWithTags: [...servedLayers, 'layer:testing'] };

/** Specs of pure libraries that serve no test themselves may use what serves tests; Nx forbids the circles. */
const layersInSpecs = layers.map((layer) =>
  layer.sourceTag === 'layer:pure' ? { ...layer, onlyDependOnLibsWithTags: [...layer.onlyDependOnLibsWithTags, 'layer:testing'] } : layer,
);

const boundaries = (depConstraints) => ['error', { enforceBuildableLibDependency: false, allow: [], depConstraints }];

export default tseslint.config(
  { ignores: ['**/dist/**', '**/generated/**', '**/node_modules/**', '.nx/**', '.weir/**', 'coverage/**', 'tests/fixtures/boundaries/**'] },
  ...tseslint.configs.recommended,
  {
    files: ['**/*.{ts,mjs}'],
    rules: {
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true }],
    },
  },
  {
    files: ['{apps,libs}/**/*.ts'],
    plugins: { '@nx': nx },
    rules: {
      '@nx/enforce-module-boundaries': boundaries([...layers, appsInProduction]),
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'env', message: 'The environment is read in libs/platform/src/config/environment.ts alone.' },
      ],
    },
  },
  {
    // Specs, and what only specs use.
    files: ['{apps,libs}/**/*.spec.ts', '{apps,libs}/**/*.fixture.ts', 'libs/testing/src/**/*.ts'],
    plugins: { '@nx': nx },
    // A spec may look at its environment: whether it is root, where the code lies.
    rules: { '@nx/enforce-module-boundaries': boundaries([...layersInSpecs, appsInSpecs]), 'no-restricted-properties': 'off' },
  },
  { files: ['libs/platform/src/config/environment.ts'], rules: { 'no-restricted-properties': 'off' } },
);
