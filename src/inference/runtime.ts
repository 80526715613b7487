import type * as Ort from 'onnxruntime-node';

/** onnxruntime-node's module; handed in by the process entry, the only file that loads it. */
export type Runtime = typeof Ort;

/**
 * Platforms that onnxruntime-node 1.30 ships a native library for. Intel Macs were dropped after
 * 1.23.
 */
const supported: readonly string[] = ['darwin-arm64', 'linux-arm64', 'linux-x64', 'win32-arm64', 'win32-x64'];

/** The facts of a machine that decide whether the runtime can work; tests hand in others. */
export interface Machine {
  readonly platform: string;
  readonly arch: string;
  /** glibc's version; empty on musl (Alpine) and elsewhere than on Linux. */
  readonly glibc: string;
}

/** This machine. */
export function currentMachine(): Machine {
  const { platform, arch } = process;
  return { platform, arch, glibc: processReport().header.glibcVersionRuntime ?? '' };
}

/**
 * What Node reports of this process: the only place that names its C library and the shared
 * libraries it has loaded.
 */
export function processReport(): {
  readonly header: { readonly glibcVersionRuntime?: string };
  readonly sharedObjects: readonly string[];
} {
  // The network part looks up names, which can take seconds.
  Object.assign(process.report, { excludeNetwork: true });
  return process.report.getReport() as unknown as ReturnType<typeof processReport>;
}

/** Why models cannot be run on a machine, found before anything is loaded; empty if they can. */
export function missingRuntime(machine: Machine = currentMachine()): string {
  const { platform, arch, glibc } = machine;
  const rest =
    'Inspecting checkpoints and counting parameters and MACs work here; run models on another machine, for example over VS Code Remote.';
  if (platform === 'darwin' && arch === 'x64')
    return `Models cannot be run on an Intel Mac: ONNX Runtime has had no build for it since 1.24. ${rest}`;
  if (!supported.includes(`${platform}-${arch}`))
    return `Models cannot be run on ${platform} ${arch}: ONNX Runtime has builds for ${supported.join(', ')}. ${rest}`;
  if (platform === 'linux' && glibc === '')
    return `Models cannot be run on this Linux: it uses musl (Alpine), and ONNX Runtime needs glibc 2.28 or newer. ${rest}`;
  if (platform === 'linux' && olderThan(glibc, 2, 28))
    return `Models cannot be run on this Linux: it has glibc ${glibc}, and ONNX Runtime needs 2.28 or newer. ${rest}`;
  return '';
}

function olderThan(version: string, major: number, minor: number): boolean {
  const [a = 0, b = 0] = version.split('.').map(Number);
  return a < major || (a === major && b < minor);
}

/** Says which native library failed to load and what is usually missing, from Node's error. */
export function runtimeFailure(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const hint = /MODULE_NOT_FOUND|Cannot find module/.test(text)
    ? 'The extension was built for another platform; install the build for this one.'
    : process.platform === 'win32'
      ? 'Installing the Microsoft Visual C++ runtime usually helps.'
      : 'It needs glibc 2.28 and libstdc++ with GLIBCXX_3.4.22 or newer.';
  return `ONNX Runtime could not be loaded: ${text.split('\n')[0]} ${hint}`;
}
