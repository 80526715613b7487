import type { FoundWhole } from '../whole';

/** What a model around a backbone is called: `DETR, ResNet-50 backbone`. */
export const titleAround = (title: string, { backbone }: FoundWhole): string =>
  `${title}, ${backbone.title.replace(/, image backbone of .*/, '')} backbone`;
