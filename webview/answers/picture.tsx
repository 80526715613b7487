import type { ComponentChildren, VNode } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import './pixels.css';

interface PictureProps {
  readonly bitmap: HTMLCanvasElement;
  readonly spoken: string;
  readonly children: ComponentChildren;
}

/** A picture with a pixel for each pixel of the bitmap, as wide as there is place. */
export function Picture({ bitmap, spoken, children }: PictureProps): VNode {
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (!canvas.current || !context) return;
    canvas.current.width = bitmap.width;
    canvas.current.height = bitmap.height;
    context.drawImage(bitmap, 0, 0);
  }, [bitmap]);
  return (
    <figure>
      <canvas ref={canvas} role="img" aria-label={spoken} />
      <figcaption>{children}</figcaption>
    </figure>
  );
}
