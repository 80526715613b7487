import type { VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Skeleton } from './status';

/**
 * A part of a page whose code is loaded when it is first drawn, with bars in its place until then:
 * what few look at must not delay what all see first. Its style sheet is the page's to import.
 */
export function deferred<Props extends object>(
  label: string,
  load: () => Promise<(props: Props) => VNode>,
): (props: Props) => VNode {
  let loaded: ((props: Props) => VNode) | undefined;
  return function Deferred(props: Props): VNode {
    const [, setLoaded] = useState(loaded !== undefined);
    const [failed, setFailed] = useState<Error>();
    useEffect(() => {
      if (loaded) return;
      load().then((part) => {
        loaded = part;
        setLoaded(true);
      }, setFailed);
    }, []);
    // The guard around it says so, as it does of what cannot be drawn.
    if (failed) throw failed;
    const Part = loaded;
    return Part ? <Part {...props} /> : <Skeleton label={label} rows={10} />;
  };
}
