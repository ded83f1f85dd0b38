import { describe, expect, it } from 'vitest';
import { SocketPlaces } from './socket-places.ts';

const places = () => new SocketPlaces<object>({ maxPerTenant: 2, maxAnonymousPerAddress: 2, maxAnonymous: 3 });
const sockets = (count: number): object[] => Array.from({ length: count }, () => ({}));

describe('places of sockets', () => {
  it('the oldest without a caller gives way to a new one of the same address', () => {
    const subject = places();
    const [first, second, third] = sockets(3) as [object, object, object];
    expect([subject.opened(first, 'a'), subject.opened(second, 'a'), subject.opened(third, 'a')]).toEqual([[], [], [first]]);
  });

  it('the oldest without a caller gives way when all addresses together have too many', () => {
    const subject = places();
    const [first, ...others] = sockets(4) as [object, ...object[]];
    subject.opened(first, 'a0');
    expect(others.flatMap((socket, i) => subject.opened(socket, `a${i + 1}`))).toEqual([first]);
  });

  it('a socket with a caller never gives way to those without', () => {
    const subject = places();
    const [known] = sockets(1) as [object];
    subject.opened(known, 'a');
    expect(subject.identified(known, 'acme')).toBe(true);
    expect(sockets(50).flatMap((socket) => subject.opened(socket, 'a'))).not.toContain(known);
  });

  it('a tenant holds as many as it may, other tenants theirs, and a closed one is free again', () => {
    const subject = places();
    const [one, two, three] = sockets(3) as [object, object, object];
    for (const [i, socket] of [one, two, three].entries()) subject.opened(socket, `a${i}`);
    expect([one, two, three].map((socket) => subject.identified(socket, 'acme'))).toEqual([true, true, false]);
    expect(subject.identified(three, 'globex')).toBe(true);
    subject.closed(one);
    expect(subject.identified({}, 'acme')).toBe(true);
    expect(subject.identified({}, 'acme')).toBe(false);
  });
});
