// The process in which the editor tries a file before it opens it: what asks for more than
// `useCases/trials` allows ends this process, and not the window's. Nothing is sent back but how
// far it came, because what is refused here is refused there, too.
import { openOnce } from './models/openedModels';
import { inspect } from './useCases/inspect';
import type { TrialRequest, TrialStage } from './useCases/trials';

const tell = (stage: TrialStage): void => void process.send?.(stage);

process.on('message', (asked: TrialRequest) => {
  understand(asked).then(
    () => tell('done'),
    () => tell('done'),
  );
});
process.on('disconnect', () => process.exit());

/** Does with a file what a document and its first view do. */
async function understand({ path, company }: TrialRequest): Promise<void> {
  const file = await openOnce(path, company, { onRead: () => tell('read') });
  const { model } = file.settle();
  inspect(model, { assumptions: {}, added: {} }, '');
}
