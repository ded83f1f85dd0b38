// Starts the platform of the folder that is given, as a process that a spec can kill.
import { loadSettings } from '@weir/platform/config';
import { launcherSettings } from '../settings.ts';
import { homeAt } from '../state/home.ts';
import { Terminal } from '../terminal/terminal.ts';
import { Platform } from './platform.ts';

const [root = '', homeFolder = '', port = ''] = process.argv.slice(2);
await new Platform({
  settings: loadSettings(launcherSettings, { WEIR_PORT: port, WEIR_GRPC_PORT: '0' }),
  home: homeAt(homeFolder),
  root,
  environment: {},
  terminal: new Terminal(),
  onFatal: (error) => process.stderr.write(`${error.message}\n`),
}).start();
process.stdout.write('all ready\n');
