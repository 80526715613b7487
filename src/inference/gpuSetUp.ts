import { execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { candidates } from './providers';

/** Something that a provider needs of the machine. */
export interface Requirement {
  /** `NVIDIA driver` */
  readonly what: string;
  /** The library or file that it is found by: `libcuda.so.1`. */
  readonly name: string;
  /** Where it was found; undefined if it was not. */
  readonly found?: string;
  /** How to get it, if it was not found. */
  readonly next: string;
}

/** What a provider needs, and whether all of it is there. */
export interface ProviderSetUp {
  readonly name: string;
  readonly title: string;
  readonly isComplete: boolean;
  readonly requirements: readonly Requirement[];
  /** What else is to be known. */
  readonly note?: string;
}

/** How a machine is asked; tests answer in its place. */
export interface MachineLook {
  readonly platform: string;
  readonly arch: string;
  /** The path that the system's loader takes for a library. */
  library(name: string): string | undefined;
  /** Files in folders whose names a pattern fits. */
  files(folders: readonly string[], pattern: RegExp): readonly string[];
  mayUse(file: string): boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Folder of the runtime's own libraries for this platform. */
  readonly runtimeFolder: string;
}

/**
 * Libraries that ONNX Runtime's CUDA provider needs as its builds for CUDA 12 are documented; they
 * were tried on no real card. With their packages of NVIDIA's apt repository and of PyPI.
 */
const cudaLibraries: readonly (readonly [name: string, what: string, apt: string, pypi: string])[] = [
  ['libcudart.so.12', 'CUDA runtime 12', 'cuda-cudart-12-9', 'nvidia-cuda-runtime-cu12'],
  ['libcublas.so.12', 'cuBLAS 12', 'libcublas-12-9', 'nvidia-cublas-cu12'],
  ['libcublasLt.so.12', 'cuBLASLt 12', 'libcublas-12-9', 'nvidia-cublas-cu12'],
  ['libcurand.so.10', 'cuRAND 10', 'libcurand-12-9', 'nvidia-curand-cu12'],
  ['libcufft.so.11', 'cuFFT 11', 'libcufft-12-9', 'nvidia-cufft-cu12'],
  ['libcudnn.so.9', 'cuDNN 9', 'libcudnn9-cuda-12', 'nvidia-cudnn-cu12'],
];

/** The two libraries by which the runtime speaks to CUDA, which its npm package does not hold. */
const ownCudaLibraries = ['libonnxruntime_providers_shared.so', 'libonnxruntime_providers_cuda.so'] as const;

function cuda(look: MachineLook): readonly Requirement[] {
  const found = (name: string): Pick<Requirement, 'found'> => foundAs(look.library(name));
  return [
    {
      what: 'NVIDIA driver',
      name: 'libcuda.so.1',
      ...found('libcuda.so.1'),
      next: 'Install the NVIDIA driver 525 or newer (Debian: nvidia-driver; Ubuntu: ubuntu-drivers install).',
    },
    ...cudaLibraries.map(([name, what, apt, pypi]) => ({
      what,
      name,
      ...found(name),
      next: `Install ${apt} of NVIDIA's repository, or the PyPI package ${pypi} and add its lib folder to LD_LIBRARY_PATH.`,
    })),
    ...ownCudaLibraries.map((name) => ({
      what: "ONNX Runtime's provider for CUDA",
      name,
      ...foundAs(look.files([look.runtimeFolder], new RegExp(`^${name}$`))[0]),
      next: `Copy it from the NuGet package Microsoft.ML.OnnxRuntime.Gpu.Linux of the runtime's own version into ${look.runtimeFolder}.`,
    })),
  ];
}

/** Where the Vulkan loader looks for drivers (its documentation, "Driver Discovery on Linux"). */
const icdFolders = ['/etc/vulkan/icd.d', '/usr/local/share/vulkan/icd.d', '/usr/share/vulkan/icd.d'];

function webgpu(look: MachineLook): readonly Requirement[] {
  if (look.platform !== 'linux') return [];
  const { VK_DRIVER_FILES: named, VK_ICD_FILENAMES: older } = look.environment;
  const [stated = ''] = (named ?? older ?? '').split(':');
  const device = look.files(['/dev/dri'], /^renderD\d+$/)[0] ?? look.files(['/dev'], /^nvidia0$/)[0];
  return [
    {
      what: 'Vulkan loader',
      name: 'libvulkan.so.1',
      ...foundAs(look.library('libvulkan.so.1')),
      next: 'Install it (Debian, Ubuntu: libvulkan1; Fedora: vulkan-loader).',
    },
    {
      what: 'Vulkan driver (ICD)',
      name: '*.json in vulkan/icd.d',
      ...foundAs(stated === '' ? look.files(icdFolders, /\.json$/)[0] : stated),
      next: 'Install the driver of the card (AMD, Intel: mesa-vulkan-drivers; NVIDIA: its own driver).',
    },
    {
      what: 'graphics device that this user may use',
      name: '/dev/dri/renderD*',
      ...foundAs(device !== undefined && look.mayUse(device) ? device : undefined),
      next:
        device === undefined
          ? 'The system shows no graphics device; a container needs it passed in (--device /dev/dri, --gpus all).'
          : `${device} may not be opened: add the user to its group (sudo usermod -aG render $USER) and log in again.`,
    },
  ];
}

const foundAs = (found: string | undefined): Pick<Requirement, 'found'> =>
  found === undefined ? {} : { found };

/** Providers that come with the system: DirectML with the runtime, Core ML with macOS. */
const none = (): readonly Requirement[] => [];

const requirementsOf: Readonly<Record<string, (look: MachineLook) => readonly Requirement[]>> = {
  cuda,
  webgpu,
  dml: none,
  coreml: none,
};

const notes: Readonly<Record<string, string>> = {
  cuda: 'The runtime is documented for CUDA 12 and cuDNN 9; neither was tried here on a real card.',
  webgpu:
    'Whether an adapter answers as the CPU does is found by trying: run an image with --provider webgpu.',
};

/** Looks at what each GPU provider of this platform needs, and says what is missing. */
export function lookAtGpu(look: MachineLook = thisMachine()): readonly ProviderSetUp[] {
  return candidates(look.platform, look.arch).map(({ name, title }) => {
    const requirements = requirementsOf[name]?.(look) ?? [];
    const note = notes[name];
    return {
      name,
      title,
      isComplete: requirements.every(({ found }) => found !== undefined),
      requirements,
      ...(note !== undefined && { note }),
    };
  });
}

/** The same for people: a line for each thing, with what to do about what is missing. */
export function setUpText(providers: readonly ProviderSetUp[]): string {
  const lines = providers.flatMap(({ title, isComplete, requirements, note }) => [
    `${title}: ${isComplete ? 'all that it needs is there' : 'something is missing'}`,
    ...requirements.map(({ what, name, found, next }) =>
      found === undefined ? `  missing  ${what} (${name}). ${next}` : `  found    ${what} (${found})`,
    ),
    ...(note === undefined ? [] : [`  ${note}`]),
  ]);
  return `${[...lines, 'CPU: always there'].join('\n')}\n`;
}

/** This machine, asked as its loader would be. */
export function thisMachine(): MachineLook {
  const { platform, arch, env: environment } = process;
  const cache = platform === 'linux' ? loaderCache() : new Map<string, string>();
  const own = (environment['LD_LIBRARY_PATH'] ?? '').split(':').filter((folder) => folder !== '');
  return {
    platform,
    arch,
    environment,
    // The order of dlopen(3): LD_LIBRARY_PATH, the cache, the usual folders.
    library: (name) =>
      firstIn(own, name) ?? cache.get(name) ?? firstIn(['/lib', '/usr/lib', '/lib64', '/usr/lib64'], name),
    files: (folders, pattern) =>
      folders.flatMap((folder) =>
        namesIn(folder)
          .filter((name) => pattern.test(name))
          .map((name) => join(folder, name)),
      ),
    mayUse,
    runtimeFolder: runtimeFolder(platform, arch),
  };
}

const firstIn = (folders: readonly string[], name: string): string | undefined =>
  folders.map((folder) => join(folder, name)).find((file) => existsSync(file));

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

function mayUse(file: string): boolean {
  try {
    accessSync(file, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Milliseconds for the list of the loader's cache, which takes a few. */
const cacheTimeout = 5000;

/** Libraries that the loader knows, by name; none where it cannot be asked. */
function loaderCache(): ReadonlyMap<string, string> {
  const program = ['/sbin/ldconfig', '/usr/sbin/ldconfig'].find((file) => existsSync(file));
  if (program === undefined) return new Map();
  try {
    const list = execFileSync(program, ['-p'], { encoding: 'utf8', timeout: cacheTimeout });
    const rows = [...list.matchAll(/^\s+(\S+) \(([^)]*)\) => (.+)$/gm)];
    // Libraries of 32 bits have the same names.
    const wide = rows.filter(([, , kind = '']) => /64/.test(kind));
    return new Map(wide.map(([, name = '', , file = '']) => [name, file]));
  } catch {
    return new Map();
  }
}

function runtimeFolder(platform: string, arch: string): string {
  try {
    const binding = require.resolve('onnxruntime-node/package.json');
    return join(binding, '..', 'bin', 'napi-v6', platform, arch);
  } catch {
    return 'the folder of onnxruntime-node';
  }
}
