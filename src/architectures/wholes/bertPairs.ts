import { assumed } from '../evidence';
import type { Evidence } from '../family';
import { backboneTitle, settle, type FoundWhole, type Whole } from '../whole';
import { dualParts, recogniser } from './clip';
import { altText, bertText, textAssumable, type TextTower } from './textTowers';

const words = 'text_model.embeddings.word_embeddings.weight';
const robertaWords = 'text_model.roberta.embeddings.word_embeddings.weight';

/** What BERTs beside an image tower have in common. */
const bert = {
  layers: 'text_model.encoder.layer',
  projection: 'text_projection',
  masked: true,
  activation: 'gelu',
  ownActivation: true,
  perHead: 64,
} as const;

/** Chinese CLIP (Yang et al. 2022): CLIP's image tower beside a BERT. */
export const chineseClip: Whole<TextTower> = {
  name: 'chinese-clip',
  row: 'clip',
  title: 'Chinese CLIP',
  task: 'zero-shot',
  isTower: true,
  signature: [words, 'text_projection.weight', 'visual_projection.weight', 'logit_scale'],
  // A pair of any two towers (VisionTextDualEncoder) reads its BERT through the pooler.
  absent: ['text_model.pooler.dense.weight'],
  assumable: textAssumable,
  recognise: recogniser({ ...bert, table: words, eps: 1e-12 }),
  parts: dualParts(bertText, 'visual_projection'),
};

/** Id of the padding of XLM-RoBERTa's words, which AltCLIP's configuration has by default. */
const usualPadding = 1;

const paddingId = (found: FoundWhole): Evidence<number> =>
  settle<number>(found, 'text_padding', {
    config: ['text_config.pad_token_id'],
    otherwise: assumed(usualPadding, 'as published; not stored in the weights'),
    is: (value) => Number.isInteger(value) && Number(value) >= 0,
    needed: 'a token id',
  });

const asAltClip = recogniser({
  ...bert,
  table: robertaWords,
  layers: 'text_model.roberta.encoder.layer',
  eps: 1e-5,
  paddingId,
});

/** AltCLIP (Chen et al. 2022): CLIP's image tower beside an XLM-RoBERTa of many languages. */
export const altClip: Whole<TextTower> = {
  name: 'altclip',
  row: 'clip',
  title: 'AltCLIP',
  task: 'zero-shot',
  isTower: true,
  signature: [
    robertaWords,
    'text_model.transformation.weight',
    'text_projection.weight',
    'visual_projection.weight',
    'logit_scale',
  ],
  assumable: [...textAssumable, 'text_padding'],
  recognise: (found) => ({ ...asAltClip(found), label: 'altclip', title: 'AltCLIP' }),
  parts: dualParts(altText, 'visual_projection'),
};

const asAlign = recogniser({ ...bert, table: words, eps: 1e-12 });

/** ALIGN (Jia et al. 2021): an EfficientNet beside a BERT, compared by a learned temperature. */
export const align: Whole<TextTower> = {
  name: 'align',
  row: 'clip',
  title: 'ALIGN',
  task: 'zero-shot',
  isTower: true,
  signature: [words, 'text_projection.weight', 'temperature'],
  assumable: textAssumable,
  idle: /^text_model\.pooler\./,
  recognise: (found) => ({ ...asAlign(found), label: 'align', title: `ALIGN over ${backboneTitle(found)}` }),
  parts: dualParts(bertText),
};
