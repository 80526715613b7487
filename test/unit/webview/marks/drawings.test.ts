import { h, render, type ComponentChild } from 'preact';
import { Histogram } from '../../../../webview/marks/histogram';
import { ShareBar } from '../../../../webview/marks/shareBar';
import { Stations } from '../../../../webview/marks/stations';
import { TreeGrid } from '../../../../webview/marks/treeGrid';
import { deriveTree, visibleLines } from '../../../../webview/marks/treeState';
import { DrawnNode, useDocument } from '../../../support/drawing';
import { rows, stations } from '../../../support/drawnModel';
import { assertSnapshot } from '../../../support/snapshot';

/** What a part of a page puts into the document once it has measured itself. */
async function drawn(part: ComponentChild): Promise<string> {
  const place = document.createElement('div');
  render(part, place);
  await new Promise((done) => setTimeout(done, 0));
  return place instanceof DrawnNode ? place.text() : '';
}

const ignore = (): void => undefined;

describe('drawn parts of pages', () => {
  useDocument();

  it('a histogram', async () =>
    assertSnapshot(
      'marks/histogram.svg',
      await drawn(h(Histogram, { counts: [0, 3, 12, 7, 1], min: -0.25, max: 1 })),
    ));

  it('a bar of a share', async () => {
    const shares = [-0.1, 0, 0.375, 1, 1.2].map((share) => h(ShareBar, { share, of: 'all parameters' }));
    assertSnapshot('marks/shareBar.html', await drawn(h('div', {}, shares)));
  });

  it('the drawing of the whole', async () =>
    assertSnapshot(
      'marks/stations.svg',
      await drawn(h(Stations, { stations, joins: [], chosen: 'blocks', onChoose: ignore })),
    ));

  it('the tree of modules', async () => {
    const tree = deriveTree(rows);
    const lines = visibleLines(tree, new Set(['1', '2']));
    const props = { tree, lines, totalParams: 313_128, active: '2' };
    assertSnapshot(
      'marks/treeGrid.html',
      await drawn(h(TreeGrid, { ...props, onMove: ignore, onOpen: ignore, onCopy: ignore })),
    );
  });
});
