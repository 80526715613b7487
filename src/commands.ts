import { visible } from './domain/visible';
import { Session } from './commandLine/session';
import {
  helpText,
  oneLine,
  parseInvocation,
  taskOfCommand,
  UsageError,
  type CommandName,
} from './commandLine/usage';

type Command = (session: Session, paths: readonly string[]) => Promise<void>;

const predictAs = (command: CommandName) => async (): Promise<Command> => {
  const { predict } = await import('./commandLine/predict');
  return (session, paths) => predict(session, paths, taskOfCommand(command));
};

/** One task each, in the words of `predict`. */
const taskCommands = {
  detect: predictAs('detect'),
  segment: predictAs('segment'),
  depth: predictAs('depth'),
  keypoints: predictAs('keypoints'),
  'zero-shot': predictAs('zero-shot'),
  caption: predictAs('caption'),
  ask: predictAs('ask'),
  video: predictAs('video'),
  reconstruct: predictAs('reconstruct'),
  restore: predictAs('restore'),
  translate: predictAs('translate'),
} as const;

/** Each command's code loads when it is called: `inspect` must not wait for the runtime's. */
const commands: Readonly<Record<CommandName, () => Promise<Command>>> = {
  inspect: async () => (await import('./commandLine/reports')).inspect,
  complexity: async () => (await import('./commandLine/reports')).complexity,
  classify: async () => (await import('./commandLine/images')).classify,
  predict: async () => (await import('./commandLine/predict')).predict,
  ...taskCommands,
  explain: async () => (await import('./commandLine/explain')).explain,
  attention: async () => (await import('./commandLine/images')).attention,
  preprocess: async () => (await import('./commandLine/tensors')).preprocess,
  run: async () => (await import('./commandLine/tensors')).run,
  providers: async () => (await import('./commandLine/providers')).providers,
  export: async () => (await import('./commandLine/tensors')).exportModel,
};

/**
 * Runs one command; resolves to the exit status: 0 fine, 1 something was refused or failed, 2 wrong
 * usage.
 */
async function main(argv: readonly string[]): Promise<number> {
  const invocation = parseInvocation(argv);
  if (!invocation) {
    process.stdout.write(helpText());
    return argv.length === 0 ? 2 : 0;
  }
  const session = new Session(invocation.options, process.stdout, process.stderr);
  // `| head` has read enough: that ends the command, and is no failure of it.
  process.stdout.once('error', () => session.interrupt());
  try {
    const command = await commands[invocation.command]();
    await command(session, invocation.paths);
    return session.status;
  } finally {
    await session.dispose();
  }
}

main(process.argv.slice(2)).then(
  (status) => (process.exitCode = status),
  (error: unknown) => {
    const wrongUsage = error instanceof UsageError;
    process.stderr.write(
      `error: ${visible(oneLine(error instanceof Error ? error.message : String(error)))}\n`,
    );
    if (wrongUsage) process.stderr.write('vitrine --help lists the commands\n');
    process.exitCode = wrongUsage ? 2 : 1;
  },
);
