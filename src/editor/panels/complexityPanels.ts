import { ViewColumn } from 'vscode';
import { viewTypes } from '../../contributions';
import { checkpointLabel } from '../documents/checkpointEntries';
import { serveInspector, type InspectorServices } from './inspectorApi';
import { Panels } from './panels';

/** Complexity reports, one panel per checkpoint. */
export type ComplexityPanels = Panels<{ readonly checkpoint: string }>;

export const createComplexityPanels = (services: InspectorServices): ComplexityPanels =>
  new Panels(
    {
      viewType: viewTypes.complexity,
      page: 'complexity',
      restoredBy: ['checkpoint'],
      fill: (panel) => {
        const { subject } = panel;
        const page = panel.load(subject, `Complexity: ${checkpointLabel(subject.checkpoint)}`);
        const { document } = page.add(services.documents.acquire(subject.checkpoint));
        page.add(serveInspector(panel.webview, document, services));
      },
    },
    services,
    () => ViewColumn.Active,
  );
