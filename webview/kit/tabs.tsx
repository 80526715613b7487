import type { VNode } from 'preact';
import { useRef } from 'preact/hooks';

export interface TabsProps<Name extends string> {
  readonly label: string;
  readonly tabs: readonly { readonly name: Name; readonly title: string; readonly count?: string }[];
  readonly chosen: Name;
  readonly onChoose: (name: Name) => void;
}

const STEPS: Readonly<Record<string, (at: number, count: number) => number>> = {
  ArrowRight: (at, count) => (at + 1) % count,
  ArrowLeft: (at, count) => (at + count - 1) % count,
  Home: () => 0,
  End: (_, count) => count - 1,
};

/** A strip of tabs after ARIA's pattern; the page draws the panel `panel-<name>` itself. */
export function Tabs<Name extends string>({ label, tabs, chosen, onChoose }: TabsProps<Name>): VNode {
  const strip = useRef<HTMLDivElement>(null);
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    const at = step(
      tabs.findIndex((tab) => tab.name === chosen),
      tabs.length,
    );
    const next = tabs[at];
    if (next) onChoose(next.name);
    strip.current?.querySelectorAll<HTMLElement>('[role=tab]')[at]?.focus();
  };
  return (
    <div ref={strip} class="tabs" role="tablist" aria-label={label} onKeyDown={onKeyDown}>
      {tabs.map((tab) => (
        <button
          key={tab.name}
          type="button"
          role="tab"
          id={`tab-${tab.name}`}
          class="tab"
          aria-selected={tab.name === chosen}
          aria-controls={`panel-${tab.name}`}
          tabIndex={tab.name === chosen ? 0 : -1}
          onClick={() => onChoose(tab.name)}
        >
          {tab.title}
          {tab.count && <span class="tab-count">{tab.count}</span>}
        </button>
      ))}
    </div>
  );
}
