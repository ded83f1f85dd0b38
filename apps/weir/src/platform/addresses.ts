import type { LauncherSettings } from '../settings.ts';
import type { Addresses } from './service-environment.ts';

/** Where everything listens: services on loopback, the gateway where the settings say. */
export function addressesOf(settings: LauncherSettings, grpcPort: number, ports: ReadonlyMap<string, number>): Addresses {
  // An address for all interfaces is none that can be called.
  const host = ['0.0.0.0', '::'].includes(settings.host) ? '127.0.0.1' : settings.host;
  const publicUrl = settings.publicUrl ?? httpUrl(host, settings.port);
  const portOf = (name: string): number => {
    const port = ports.get(name);
    if (port === undefined) throw new Error(`no port was chosen for ${name}`);
    return port;
  };
  return {
    portOf,
    urlOf: (name) => (name === 'gateway' ? httpUrl(host, settings.port) : httpUrl('127.0.0.1', portOf(name))),
    publicUrl,
    grpcPort,
    grpcAddress: authority(host, grpcPort),
  };
}

function httpUrl(host: string, port: number): string {
  return `http://${authority(host, port)}`;
}

function authority(host: string, port: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
