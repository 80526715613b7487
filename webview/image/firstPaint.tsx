import type { VNode } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { ImagePanelApi } from '../../src/protocol/image';
import type { Host } from '../host';
import { useWidth } from '../kit/elements';
import { Skeleton } from '../kit/status';
import { prepare } from '../marks/heatmap';
import { overlayOf } from '../marks/overlay';
import { usePanelSize } from './panelSize';

export interface FirstPaintProps {
  readonly host: Host<ImagePanelApi>;
  readonly asStored: boolean;
}

/**
 * The image in its place as soon as it is decoded, before the model is loaded: what comes later
 * comes beside it.
 */
export function FirstPaint({ host, asStored }: FirstPaintProps): VNode {
  const image = usePicture(host, asStored);
  const place = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useWidth(place);
  const { highest } = usePanelSize();
  useLayoutEffect(() => {
    if (!image || width === 0 || !canvas.current) return;
    const region = { x: 0, y: 0, width: image.width, height: image.height };
    const overlay = overlayOf([image.width, image.height], region, width, highest);
    const context = prepare(canvas.current, overlay.width, overlay.height);
    if (!context) return;
    context.imageSmoothingQuality = 'high';
    context.drawImage(image, 0, 0, overlay.width, overlay.height);
  }, [image, width, highest]);
  return (
    <div class="result" aria-busy="true">
      <div class="left">
        <div ref={place} class="image first-paint">
          <canvas ref={canvas} role="img" aria-label="The image" />
          {!image && <Skeleton label="Reading the image" rows={4} />}
        </div>
      </div>
      <div class="right">
        <div class="answer">
          <Skeleton label="Waiting for the model" rows={5} />
        </div>
      </div>
    </div>
  );
}

/** The image decoded by the page itself; undefined until then, and where it cannot be. */
function usePicture(host: Host<ImagePanelApi>, asStored: boolean): ImageBitmap | undefined {
  const [image, setImage] = useState<ImageBitmap>();
  useEffect(() => {
    let isNewest = true;
    const load = async (): Promise<void> => {
      const file = await host.remote.picture();
      if (!file) return;
      const blob = new Blob([new Uint8Array(file.bytes)], { type: file.type });
      const decoded = await createImageBitmap(blob, { imageOrientation: asStored ? 'none' : 'from-image' });
      if (isNewest) setImage(decoded);
    };
    // What the page cannot decode, the run will show or refuse with a reason.
    load().catch(() => undefined);
    return () => {
      isNewest = false;
    };
  }, [asStored]);
  return image;
}
