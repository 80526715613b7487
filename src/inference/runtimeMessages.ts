/** What the runtime says of a provider that does not run, for people. */

/** Why a provider cannot be used, in a sentence, and what can be done about it. */
export interface Explained {
  readonly sentence: string;
  readonly next: string;
}

/** A kind of message of the runtime; `NAME` is the provider's title. */
interface KnownMessage extends Explained {
  readonly says: RegExp;
}

/** The more particular ones first: a message about a library names it, whatever else is in it. */
const known: readonly KnownMessage[] = [
  {
    says: /lib(cudart|cublas|cudnn|cufft|curand|nvrtc)|(cudart|cublas|cudnn)\w*\.dll/i,
    sentence: 'The CUDA libraries of this machine were not found.',
    next: 'Install the CUDA toolkit and cuDNN, then check again.',
  },
  {
    says: /no CUDA-capable device|driver version is insufficient|CUDA failure (35|100)\b/i,
    sentence: 'No NVIDIA graphics card with a fitting driver was found.',
    next: 'Install or update the NVIDIA driver, then check again.',
  },
  {
    says: /failed to load (shared )?library|cannot open shared object|LoadLibrary|dlopen/i,
    sentence: 'The library that the runtime needs for NAME is not installed.',
    next: 'Use the CPU or WebGPU: they need no further library.',
  },
  {
    says: /webgpu adapter|no supported adapters|RequestAdapter/i,
    sentence: 'No graphics adapter that NAME can use was found.',
    next: 'Install or update the graphics driver (on Linux, one with Vulkan), then check again.',
  },
  {
    says: /backend not found|no available backend/i,
    sentence: 'The runtime of this machine has no NAME.',
    next: 'Use the CPU or another provider.',
  },
  {
    says: /out of memory|OUT_OF_?MEMORY|bad_alloc|failed to allocate|allocation (of|failed)/i,
    sentence: 'The memory of the graphics card was not enough for this model.',
    next: 'Close other programs that use it, or choose a smaller image size, then check again.',
  },
  {
    says: /device (is |was |has been )?(lost|removed|hung)|DEVICE_(LOST|REMOVED|HUNG)|DeviceLost/i,
    sentence: 'The graphics driver stopped while the model ran.',
    next: 'Update the graphics driver, then check again.',
  },
  {
    says: /inference process (\d+ )?(ended|exited|was|went|stopped)|SIG(SEGV|ABRT|BUS|ILL|KILL)/i,
    sentence: 'NAME ended the process that tried it.',
    next: 'Update the graphics driver, then check again; the CPU is not affected.',
  },
  {
    says: /could not find an implementation|NOT_IMPLEMENTED|no kernel|not a registered (function|op)/i,
    sentence: 'NAME does not know an operator of this model.',
    next: 'Use the CPU or another provider.',
  },
];

/** Characters of an unknown message that are quoted: a sentence. */
const quoted = 100;

/** Returns what a message of the runtime means; one that is not known is quoted in brief. */
export function explainRuntime(message: string, title: string): Explained {
  const row = known.find(({ says }) => says.test(message));
  if (row) return { sentence: row.sentence.replace('NAME', title), next: row.next };
  return {
    sentence: `${title} failed: “${brief(message)}”.`,
    next: 'The whole message is in the log; use the CPU or another provider.',
  };
}

/** The first words that are no place in a source file, no function's name and no code. */
function brief(message: string): string {
  const [line = ''] = message.split('\n').filter((each) => each.trim() !== '');
  const words = line
    .replace(/\[ONNXRuntimeError\][\s:]*\d+[\s:]*\w+[\s:]*/g, '')
    .replace(/\S*[\\/]\S*:\d+\s*/g, '')
    .replace(/\S+::\S+(\([^)]*\))?(::<lambda\(\)>)?\s*/g, '')
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/[.:\s]+$/, '');
  if (words === '') return 'no reason given';
  return words.length > quoted ? `${words.slice(0, quoted).replace(/\s+\S*$/, '')} …` : words;
}
