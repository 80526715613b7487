import type { ProviderSetUp } from '../inference/gpuSetUp';
import type { Session } from './session';

/** `vitrine providers`: what can run models here, and what is missing for the rest. */
export async function providers(session: Session): Promise<void> {
  const { lookAtGpu, setUpText } = await import('../inference/gpuSetUp');
  const { missingRuntime } = await import('../inference/runtime');
  const problem = missingRuntime();
  await session.each([''], () => {
    const found = lookAtGpu();
    return Promise.resolve({
      json: { runtime: problem || null, cpu: problem === '', providers: found.map(providerJson) },
      text: problem === '' ? setUpText(found) : `${problem}\n`,
    });
  });
}

/** In the words of the command line's JSON. */
function providerJson({ name, title, isComplete, requirements, note }: ProviderSetUp): object {
  return { provider: name, title, complete: isComplete, requirements, ...(note !== undefined && { note }) };
}
