import type { VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Explainable, Faithfulness } from '../../../src/domain/explanation';
import { formatNumber } from '../../../src/domain/units';
import type { ImagePanelApi } from '../../../src/protocol/image';
import type { RunOptions } from '../../../src/tasks/run';
import type { Host } from '../../host';
import { useWidth } from '../../kit/elements';
import { useQuestion } from '../../kit/hooks';
import { Working } from '../../kit/page';
import { Button, Checkbox } from '../../kit/toolkit';
import { CurveChart } from '../../marks/curveChart';
import { Unanswered } from './column';
import { costText } from './state';

export interface TrustProps {
  readonly host: Host<ImagePanelApi>;
  readonly options: RunOptions;
  /** The run that is asked about. */
  readonly scope: number;
  readonly explainable: Explainable;
  readonly target: number;
  readonly perForward: number;
  /** Methods whose maps were drawn, and whether they are ticked. */
  readonly tested: Readonly<Record<string, boolean>>;
  readonly onTest: (method: string, isTested: boolean) => void;
  readonly onMeasured: (measured: Faithfulness | undefined) => void;
}

/** Deletion and insertion. */
const kinds = 2;
/** Room of a chart at least, and at most. */
const chart = { least: 240, most: 360, gap: 24 } as const;

/** Whether maps say what matters: curves of the ticked methods beside a random order. */
export function Trust(props: TrustProps): VNode {
  const { host, options, scope, explainable, target, perForward, tested, onTest, onMeasured } = props;
  const place = useRef<HTMLDivElement>(null);
  const width = useWidth(place);
  const asking = useQuestion<Faithfulness>();
  useEffect(() => asking.cancel, []);
  const [isMeasuring, setMeasuring] = useState(false);
  // What was measured of another run is not of this one.
  useEffect(() => {
    asking.cancel();
    asking.take(() => undefined);
    setMeasuring(false);
  }, [JSON.stringify([options, scope])]);
  const title = (method: string): string =>
    explainable.methods.find(({ name }) => name === method)?.title ?? method;
  const ticked = Object.keys(tested).filter((method) => tested[method]);
  const forwards = kinds * (ticked.length + 1) * explainable.perCurve;
  const measure = (): void => {
    setMeasuring(true);
    asking.ask((call) => host.call('faithfulness', [options, ticked, target], call), onMeasured);
  };
  const found = asking.value;
  const perChart =
    width >= 2 * chart.least + chart.gap
      ? Math.min(chart.most, (width - chart.gap) / 2)
      : Math.min(chart.most, width);
  const isBusy = asking.busy && isMeasuring;
  return (
    <section class="trust" aria-label="Trust" ref={place}>
      <h2>Do these maps say what matters?</h2>
      <p class="quiet">
        The image’s cells are covered, or brought back into a blurred image, in the order of a map. Every map
        that was looked at can be tested.
      </p>
      <div class="controls">
        {Object.entries(tested).map(([method, isTested]) => (
          <Checkbox key={method} checked={isTested} onChange={(next) => onTest(method, next)}>
            {title(method)}
          </Checkbox>
        ))}
      </div>
      <div class="buttons">
        <Button disabled={ticked.length === 0 || isBusy} onClick={measure}>
          Measure
        </Button>
        <span class="quiet">{costText(forwards, perForward)}</span>
      </div>
      <Working
        class="working-line"
        busy={isBusy}
        text={asking.progress || 'Measuring'}
        onCancel={asking.cancel}
      />
      {isMeasuring && asking.error && <Unanswered error={asking.error} shown={undefined} onAgain={measure} />}
      {found && width > 0 && (
        <>
          <p>
            {found.score}, {found.grid.join(' × ')} cells
          </p>
          <div class="trust-charts">
            {found.kinds.map(({ name, lowIsGood, curves }) => (
              <CurveChart
                key={name}
                title={name}
                across={lowIsGood ? 'of the image covered' : 'of the image brought back'}
                upward={`Area: the ${lowIsGood ? 'lower' : 'higher'} the better.`}
                width={perChart}
                curves={curves.map(({ method, scores, area }) => ({
                  name: method === undefined ? 'random order' : title(method),
                  values: scores,
                  figure: formatNumber(area),
                  isBaseline: method === undefined,
                }))}
              />
            ))}
          </div>
        </>
      )}
    </section>
  );
}
