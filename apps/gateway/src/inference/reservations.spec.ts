import { describe, expect, test } from 'vitest';
import { InMemoryReservations, MAX_RESERVED } from './reservations.ts';

const eur = (amount: string) => ({ amount, currency: 'EUR' });

describe('reservations', () => {
  test('what is reserved is free again when the call settles or fails, once', () => {
    const reservations = new InMemoryReservations();
    const first = reservations.reserve('acme', eur('0.1'));
    const second = reservations.reserve('acme', eur('0.2'));
    expect(reservations.reserved('acme')).toBe('0.3');
    first.settle(eur('0.15'));
    first.release();
    expect(reservations.reserved('acme')).toBe('0.2');
    second.release();
    expect(reservations.reserved('acme')).toBe('0');
  });

  test('calls under way cannot together reserve more than the bound; other tenants are not touched', () => {
    const reservations = new InMemoryReservations();
    reservations.reserve('acme', eur(String(MAX_RESERVED)));
    expect(() => reservations.reserve('acme', eur('0.01'))).toThrow(expect.objectContaining({ code: 'limit.spend' }));
    expect(() => reservations.reserve('rival', eur('0.01'))).not.toThrow();
  });
});
