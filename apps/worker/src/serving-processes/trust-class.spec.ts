import { describe, expect, it } from 'vitest';
import { parseTrustClasses, trustClassOf } from './trust-class.ts';

describe('models of different tenants', () => {
  it('share no process unless the operator says so', () => {
    const classes = parseTrustClasses([]);
    expect(trustClassOf('acme', classes)).not.toBe(trustClassOf('globex', classes));
  });

  it('share one where they are named together', () => {
    const classes = parseTrustClasses(['acme+globex']);
    expect(trustClassOf('acme', classes)).toBe(trustClassOf('globex', classes));
    expect(trustClassOf('initech', classes)).not.toBe(trustClassOf('acme', classes));
  });

  it('share one when * says so, except those that are named', () => {
    const classes = parseTrustClasses(['acme', '*']);
    expect(trustClassOf('globex', classes)).toBe(trustClassOf('initech', classes));
    expect(trustClassOf('acme', classes)).not.toBe(trustClassOf('globex', classes));
  });
});
