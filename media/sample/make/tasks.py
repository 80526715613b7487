"""Trains the sample models of tasks from the sample classifier, on pictures of scenes.py.

    python tasks.py SCENES OUT detect|segment|words [--steps N] [--batch 32] [--seed 3]

detect   OWL-ViT (Minderer et al. 2022): the towers of `words`; each patch answers with words and a box
segment  DPT (Ranftl et al. 2021): a convolutional neck over four of its layers
words    CLIP (Radford et al. 2021): a small text tower learns to say what the transformer sees

All take 96 x 96 pixels, 12 x 12 patches. Steps are counted, not timed, and every draw is seeded, so
a run can be repeated. Writes OUT/TASK, as transformers saves it, weights as float16.
"""
import argparse, json, math, os, time
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
import transformers as tf

HERE = os.path.dirname(os.path.abspath(__file__))
SIZE, PATCH, DIM, DEPTH, HEADS, HIDDEN = 96, 8, 160, 6, 4, 480
GRID = SIZE // PATCH
QUERIES = 6
VIT = dict(image_size=SIZE, patch_size=PATCH, hidden_size=DIM, num_hidden_layers=DEPTH, num_attention_heads=HEADS,
           intermediate_size=HIDDEN, hidden_act='gelu', layer_norm_eps=1e-6)


def classifier():
    """The sample classifier's weights; its table of positions for this size."""
    w = {k: v.float() for k, v in load_file(f'{HERE}/../vitrine-sample/model.safetensors').items()}
    cls, pos = w['pos_embed'][:, :1], w['pos_embed'][:, 1:]
    pos = pos.transpose(1, 2).unflatten(2, (16, 16))
    pos = F.interpolate(pos, size=(GRID, GRID), mode='bicubic', antialias=True, align_corners=False)
    return w, cls, pos.flatten(2).transpose(1, 2)


def block(w, i, names):
    """Tensors of block i under other names: query, key, value and the rest."""
    out = {}
    for p in ('weight', 'bias'):
        parts = dict(zip(('query', 'key', 'value'), w[f'blocks.{i}.attn.qkv.{p}'].chunk(3)))
        parts.update(out=w[f'blocks.{i}.attn.proj.{p}'], fc1=w[f'blocks.{i}.mlp.fc1.{p}'], fc2=w[f'blocks.{i}.mlp.fc2.{p}'],
                     before=w[f'blocks.{i}.norm1.{p}'], after=w[f'blocks.{i}.norm2.{p}'])
        out.update({f'{names[k]}.{p}': v.clone() for k, v in parts.items()})
    return out


VIT_NAMES = dict(query='attention.attention.query', key='attention.attention.key', value='attention.attention.value',
                 out='attention.output.dense', fc1='intermediate.dense', fc2='output.dense', before='layernorm_before', after='layernorm_after')
CLIP_NAMES = dict(query='self_attn.q_proj', key='self_attn.k_proj', value='self_attn.v_proj', out='self_attn.out_proj',
                  fc1='mlp.fc1', fc2='mlp.fc2', before='layer_norm1', after='layer_norm2')


def take(model, state):
    """Copies weights in by name; every name must be the model's."""
    own = model.state_dict()
    unknown = [k for k in state if k not in own or own[k].shape != state[k].shape]
    assert not unknown, f'no place for {unknown[:4]} among {[k for k in own][:40]}'
    with torch.no_grad():
        for k, v in state.items():
            own[k].copy_(v)


def spread(*modules):
    """He's start (2015) in place of transformers' one deviation for all, under which the signal dies away in a few narrow layers."""
    for root in modules:
        for m in root.modules():
            if isinstance(m, (torch.nn.Conv2d, torch.nn.ConvTranspose2d, torch.nn.Linear)):
                torch.nn.init.kaiming_normal_(m.weight, mode='fan_in' if not isinstance(m, torch.nn.ConvTranspose2d) else 'fan_out', nonlinearity='relu')
                if m.bias is not None:
                    torch.nn.init.zeros_(m.bias)


def layers(model, prefix, names, w, final):
    state = {}
    for i in range(DEPTH):
        state.update({f'{prefix}{i}.{k}': v for k, v in block(w, i, names).items()})
    state.update({f'{final}.{p}': w[f'norm.{p}'] for p in ('weight', 'bias')})
    take(model, state)


# ---------------------------------------------------------------- detection

class Detect:
    """Starts from the towers that `words` trained: each patch says which words fit it, and where the box is."""

    def __init__(self, labels, words, folder, one):
        self.one = one
        self.labels, self.tokens = labels, tf.CLIPTokenizer.from_pretrained(words)
        self.tokens.save_pretrained(folder)
        clip = tf.CLIPConfig.from_pretrained(words)
        copied = ('hidden_size', 'intermediate_size', 'num_hidden_layers', 'num_attention_heads', 'hidden_act', 'layer_norm_eps')
        text, vision = ({k: getattr(c, k) for k in copied} for c in (clip.text_config, clip.vision_config))
        c = tf.OwlViTConfig(projection_dim=clip.projection_dim, vision_config=dict(vision, image_size=SIZE, patch_size=PATCH),
                            text_config=dict(text, vocab_size=clip.text_config.vocab_size, max_position_embeddings=CONTEXT, pad_token_id=clip.text_config.pad_token_id,
                                             bos_token_id=clip.text_config.bos_token_id, eos_token_id=clip.text_config.eos_token_id))
        self.model = m = tf.OwlViTForObjectDetection(c)
        state = {k.replace('pre_layrnorm', 'pre_layernorm'): v.float() for k, v in load_file(f'{words}/model.safetensors').items()}
        own = m.state_dict()
        take(m, {f'owlvit.{k}': v for k, v in state.items() if f'owlvit.{k}' in own})
        spread(m.box_head)
        with torch.no_grad():
            m.box_head.dense2.weight.mul_(.1)
            # Patches are multiplied by the class token: of tokens about 8 the product is nearly their sum.
            m.owlvit.vision_model.post_layernorm.bias.add_(8.)
            m.class_head.dense0.weight.copy_(state['visual_projection.weight'] / state['visual_projection.weight'].norm() * 8)
            m.class_head.dense0.bias.zero_()
            for part, start in ((m.class_head.logit_shift, -.5), (m.class_head.logit_scale, 14.)):
                part.weight.zero_(); part.bias.fill_(start)
        self.r = np.random.default_rng(5)

    def loss(self, x, scenes):
        n = len(x)
        texts = self.tokens([self.r.choice(TEMPLATES).format(name) for name in self.labels], padding='max_length', max_length=CONTEXT, return_tensors='pt')
        m = self.model
        words = m.owlvit.text_model(**texts)[1]
        words = F.normalize(m.owlvit.text_projection(words), dim=-1)
        grid, _ = m.image_embedder(pixel_values=x)
        patches = grid.flatten(1, 2)
        logits = m.class_predictor(patches, words[None].expand(n, -1, -1))[0].float()
        boxes = m.box_predictor(patches, grid).float()
        truth = torch.from_numpy(scenes['boxes']).float() / 128
        truth = torch.cat([(truth[..., :2] + truth[..., 2:]) / 2, truth[..., 2:] - truth[..., :2]], -1)
        classes = torch.from_numpy(scenes['labels'])
        there = classes >= 0
        giou = overlap(boxes[:, :, None], truth[:, None])
        l1 = (boxes[:, :, None] - truth[:, None]).abs().sum(-1)
        at = (torch.arange(GRID) + .5) / GRID
        places = torch.stack([at[None].expand(GRID, -1), at[:, None].expand(-1, GRID)], -1).flatten(0, 1)
        far = (places[None, :, None] - truth[:, None, :, :2]).abs() / truth[:, None, :, 2:].clamp(min=1.5 / GRID)
        named = logits.gather(2, classes.clamp(min=0)[:, None].expand(-1, logits.shape[1], -1))
        with torch.no_grad():
            # One patch an object: the cheapest of those around its middle (Sun et al. 2021, "What makes for end-to-end object detection?").
            cost = -2 * named.sigmoid() - 2 * giou + 5 * l1 + 1e4 * (far.amax(-1) > .35)
            if self.one != 'cheapest':
                # In places: of those less than one from the middle, the nearest, or the one that is surest already.
                apart = ((places[None, :, None] - truth[:, None, :, :2]) * GRID).norm(dim=-1)
                cost = apart if self.one == 'nearest' else 1e4 * (apart > 1) - named
            chosen = cost.argmin(1)                                               # (n, 2)
            target = torch.zeros_like(logits)
            rows, which = there.nonzero(as_tuple=True)
            target[rows, chosen[rows, which], classes[rows, which]] = 1
            near = (far.amax(-1) <= .35) & there[:, None]                          # boxes are learnt by all of them
        p = logits.sigmoid()
        bce = F.binary_cross_entropy_with_logits(logits, target, reduction='none')
        others = .5 * p ** 2 if self.one == 'cheapest' else p
        focal = (bce * torch.where(target > 0, .5 * (1 - p) ** 2, others)).sum() / there.sum() * 2
        picked = torch.zeros_like(near)
        picked[rows, chosen[rows, which], which] = True
        weight = near.float() / near.sum(1, keepdim=True).clamp(min=1) + picked.float()
        box = (weight * (5 * l1 + 2 * (1 - giou))).sum() / there.sum()
        return focal + box / 2


def corners(b):
    return torch.cat([b[..., :2] - b[..., 2:] / 2, b[..., :2] + b[..., 2:] / 2], -1)


def overlap(a, b):
    """Generalised intersection over union (Rezatofighi et al. 2019) of boxes by centre and size."""
    a, b = torch.broadcast_tensors(corners(a), corners(b))
    area = lambda t: (t[..., 2] - t[..., 0]).clamp(min=0) * (t[..., 3] - t[..., 1]).clamp(min=0)
    inner = torch.cat([torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])], -1)
    outer = torch.cat([torch.minimum(a[..., :2], b[..., :2]), torch.maximum(a[..., 2:], b[..., 2:])], -1)
    i, hull = area(inner), area(outer)
    union = area(a) + area(b) - i
    return i / (union + 1e-6) - (hull - union) / (hull + 1e-6)


# ---------------------------------------------------------------- segmentation

class Segment:
    def __init__(self, labels):
        c = tf.DPTConfig(**VIT, is_hybrid=False, backbone_out_indices=[2, 3, 4, 5], readout_type='ignore', neck_hidden_sizes=[48, 48, 48, 48],
                         fusion_hidden_size=48, reassemble_factors=[4, 2, 1, .5], use_auxiliary_head=False, use_batch_norm_in_fusion_residual=False,
                         semantic_classifier_dropout=0., **named([*labels, 'background']))
        self.model = m = tf.DPTForSemanticSegmentation(c)
        w, cls, pos = classifier()
        layers(m, 'dpt.encoder.layer.', VIT_NAMES, w, 'dpt.layernorm')
        spread(m.neck, m.head)
        take(m, {'dpt.embeddings.cls_token': w['cls_token'], 'dpt.embeddings.position_embeddings': torch.cat([cls, pos], 1),
                 'dpt.embeddings.patch_embeddings.projection.weight': w['patch_embed.proj.weight'],
                 'dpt.embeddings.patch_embeddings.projection.bias': w['patch_embed.proj.bias']})

    def loss(self, x, scenes):
        # Before the last doubling, which learns nothing: a quarter of the scores.
        head = self.model.head.head
        doubling, head[5] = head[5], torch.nn.Identity()
        logits = self.model(x).logits.float()
        head[5] = doubling
        mask = F.interpolate(torch.from_numpy(scenes['mask'])[:, None].float(), size=logits.shape[-2:], mode='nearest-exact')
        return F.cross_entropy(logits, mask[:, 0].long())

    def settle(self, pictures):
        """Statistics of the batch norm over many pictures, and the convolution before it made small: its variances are too large for float16."""
        conv, norm = self.model.head.head[0], self.model.head.head[1]
        norm.reset_running_stats()
        norm.momentum = None
        with torch.no_grad():
            for x in pictures:
                self.model(x)
            small = norm.running_var.mean().sqrt()
            conv.weight.div_(small); norm.running_mean.div_(small); norm.running_var.div_(small ** 2)


# ---------------------------------------------------------------- words

TEMPLATES = ('{}', 'a {}', 'a drawing of a {}', 'a picture of a {}', 'there is a {}')
CONTEXT = 16


def tokenizer(labels, folder):
    """Byte-level BPE as CLIP's, learnt from the sentences that the pictures are described by."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, decoders, trainers, Regex
    t = Tokenizer(models.BPE(unk_token='<|endoftext|>', continuing_subword_prefix='', end_of_word_suffix='</w>'))
    t.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r'\s+'), ' '), normalizers.Lowercase()])
    words = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(words), behavior='removed', invert=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    t.decoder = decoders.ByteLevel()
    sentences = [s.format(n) for s in TEMPLATES for n in labels] + [f'a {n} and a {o}' for n in labels for o in labels[:2]]
    special = ['<|startoftext|>', '<|endoftext|>']
    t.train_from_iterator(sentences, trainers.BpeTrainer(vocab_size=900, special_tokens=[], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), end_of_word_suffix='</w>', show_progress=False))
    raw = json.loads(t.to_str())['model']
    # CLIP's own order: every byte, every byte that ends a word, what is merged of them, the marks.
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = [*letters, *(c + '</w>' for c in letters)]
    merges = [tuple(m) if isinstance(m, list) else tuple(m.split(' ')) for m in raw['merges']]
    vocab += [v for v in dict.fromkeys(a + b for a, b in merges) if v not in set(vocab)] + special
    made = tf.CLIPTokenizer(vocab={v: i for i, v in enumerate(vocab)}, merges=merges, model_max_length=CONTEXT)
    made.save_pretrained(folder)
    return made


class Words:
    def __init__(self, labels, folder):
        self.labels, self.tokens = labels, tokenizer(labels, folder)
        end = self.tokens.eos_token_id
        c = tf.CLIPConfig(vision_config=dict(VIT, projection_dim=64),
                          text_config=dict(vocab_size=len(self.tokens), hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=256, hidden_act='gelu',
                                           layer_norm_eps=1e-6, max_position_embeddings=CONTEXT, bos_token_id=self.tokens.bos_token_id, eos_token_id=end, pad_token_id=end, projection_dim=64),
                          projection_dim=64)
        self.model = m = tf.CLIPModel(c)
        w, cls, pos = classifier()
        layers(m, 'vision_model.encoder.layers.', CLIP_NAMES, w, 'vision_model.post_layernorm')
        # The classifier norms nothing before its blocks and adds a bias to patches: the norm starts as
        # a scaling by what it takes away, the bias is part of the places.
        tokens = torch.cat([cls + w['cls_token'], pos + w['patch_embed.proj.bias']], 1)
        take(m, {'vision_model.embeddings.class_embedding': w['cls_token'][0, 0], 'vision_model.embeddings.patch_embedding.weight': w['patch_embed.proj.weight'],
                 'vision_model.embeddings.position_embedding.weight': torch.cat([cls, pos + w['patch_embed.proj.bias']], 1)[0],
                 'vision_model.pre_layrnorm.weight': torch.full((DIM,), float((tokens.var() + 1.).sqrt())) , 'vision_model.pre_layrnorm.bias': torch.zeros(DIM)})
        self.r = np.random.default_rng(5)

    def start(self, x):
        """The norm before the blocks scales by the spread that the pictures' tokens have."""
        with torch.no_grad():
            spread = self.model.vision_model.embeddings(x).std(-1).median()
            self.model.vision_model.pre_layrnorm.weight.fill_(float(spread))

    def caption(self, classes):
        words = [self.labels[c] for c in self.r.permutation(classes[classes >= 0])]
        return self.r.choice(TEMPLATES).format(' and a '.join(words))

    def loss(self, x, scenes):
        texts = self.tokens([self.caption(c) for c in scenes['labels']], padding='max_length', max_length=CONTEXT, truncation=True, return_tensors='pt')
        out = self.model(pixel_values=x, input_ids=texts['input_ids'], attention_mask=texts['attention_mask'])
        sims = out.logits_per_image.float()
        there = F.one_hot(torch.from_numpy(scenes['labels']) + 1, len(self.labels) + 1).amax(1)[:, 1:]
        same = (there[:, None] == there[None]).all(-1).float()      # captions of other pictures that hold of this one
        target = same / same.sum(1, keepdim=True)
        paired = -(target * sims.log_softmax(1)).sum(1).mean() - (target * sims.log_softmax(0)).sum(0).mean()
        # Each object's word among all words, as the model is asked.
        alone = self.tokens([self.r.choice(TEMPLATES).format(n) for n in self.labels], padding='max_length', max_length=CONTEXT, return_tensors='pt')
        words = self.model.get_text_features(**alone)
        words = words if torch.is_tensor(words) else words.pooler_output
        scores = out.image_embeds.float() @ F.normalize(words.float(), dim=-1).T * self.model.logit_scale.exp()
        share = there / there.sum(1, keepdim=True)
        return paired + 2 * -(share * scores.log_softmax(1)).sum(1).mean()


def named(labels):
    return dict(id2label=dict(enumerate(labels)), label2id={n: i for i, n in enumerate(labels)})


# ---------------------------------------------------------------- training

def batch(pool, r, n):
    at = np.sort(r.choice(len(pool['x']), n, replace=False))
    some = {k: np.array(v[at]) for k, v in pool.items()}
    flip = r.random(n) < .5
    for k in ('x', 'mask'):
        some[k][flip] = some[k][flip][:, :, ::-1]
    b = some['boxes']
    b[flip] = np.stack([128 - b[flip][..., 2], b[flip][..., 1], 128 - b[flip][..., 0], b[flip][..., 3]], -1)
    return pixels(some['x'], r), some


def pixels(x, r=None):
    t = torch.from_numpy(x).permute(0, 3, 1, 2).float().div_(255)
    t = F.interpolate(t, size=(SIZE, SIZE), mode='bicubic', antialias=True, align_corners=False).clamp_(0, 1)
    if r is not None:
        jitter = lambda low, high: torch.from_numpy(r.uniform(low, high, (len(x), 1, 1, 1)).astype('float32'))
        t = (t - .5) * jitter(.8, 1.2) + .5 + jitter(-.08, .08)
    return (t - .5) / .5


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('scenes'); ap.add_argument('out'); ap.add_argument('task', choices=('detect', 'segment', 'words'))
    ap.add_argument('--steps', type=int, default=1200); ap.add_argument('--batch', type=int, default=32)
    ap.add_argument('--seed', type=int, default=3)
    ap.add_argument('--until', type=int, help='end at this step of the schedule')
    ap.add_argument('--go-on', metavar='FOLDER', help='start from what an earlier run wrote')
    ap.add_argument('--words', default=f'{HERE}/../vitrine-words', help='the towers that `detect` starts from')
    ap.add_argument('--one', choices=('cheapest', 'nearest', 'surest'), default='cheapest', help='`detect`: which patch answers for an object')
    ap.add_argument('--still', type=int, default=0, help='the first blocks, and all before them, stay as they are')
    ap.add_argument('--lr', type=float, default=1e-3); ap.add_argument('--lr-body', type=float, default=2e-4)
    a = ap.parse_args()
    torch.set_num_threads(1); torch.manual_seed(a.seed)
    folder = f'{a.out}/{a.task}'
    os.makedirs(folder, exist_ok=True)
    labels = json.load(open(f'{a.scenes}/labels.json'))
    pool = {k: np.load(f'{a.scenes}/train_{k}.npy') for k in ('x', 'mask', 'boxes', 'labels')}
    learner = dict(detect=lambda: Detect(labels, a.words, folder, a.one), segment=lambda: Segment(labels), words=lambda: Words(labels, folder))[a.task]()
    r = np.random.default_rng(a.seed)
    if a.go_on:
        take(learner.model, {k: v.float() for k, v in load_file(f'{a.go_on}/model.safetensors').items()})
    elif hasattr(learner, 'start'):
        learner.start(batch(pool, r, 64)[0])
    m = learner.model.train()
    body = [p for n, p in m.named_parameters() if '.encoder.' in n and 'text_model' not in n]
    known = {id(p) for p in body}
    rest = [p for p in m.parameters() if id(p) not in known]
    if a.still:
        first = tuple(f'.layer.{i}.' for i in range(a.still))
        for n, p in m.named_parameters():
            p.requires_grad_(not ('.embeddings.' in n or any(f in n for f in first)))
    opt = torch.optim.AdamW([dict(params=body, peak=a.lr_body), dict(params=rest, peak=a.lr)], a.lr, betas=(.9, .98), weight_decay=.01)
    log, began, total = open(f'{folder}/log.jsonl', 'w'), time.time(), 0.
    for step in range(a.until or a.steps):
        k = min(1, (step + 1) / 60) * (.5 * (1 + math.cos(math.pi * step / a.steps)) * .98 + .02)
        for g in opt.param_groups:
            g['lr'] = g['peak'] * k
        x, scenes = batch(pool, r, a.batch)
        with torch.autocast('cpu', torch.bfloat16):
            loss = learner.loss(x, scenes)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(m.parameters(), 1.)
        opt.step()
        total += loss.item()
        if (step + 1) % 25 == 0:
            row = dict(step=step + 1, loss=round(total / 25, 4), minutes=round((time.time() - began) / 60, 2), cpu=round(time.process_time() / 60, 2))
            total = 0.
            print(json.dumps(row), flush=True); log.write(json.dumps(row) + '\n')
        if (step + 1) % 100 == 0:
            save(m, folder, a.task)
    if hasattr(learner, 'settle'):
        learner.settle(batch(pool, r, a.batch)[0] for _ in range(40))
    save(m, folder, a.task)


def save(model, folder, task):
    """Half precision, as `transformers` names things, and how a picture is brought to the model."""
    model.save_pretrained(folder)
    config = json.load(open(f'{folder}/config.json'))
    json.dump(dict(config, dtype='float16'), open(f'{folder}/config.json', 'w'), indent=2)
    file = f'{folder}/model.safetensors'
    save_file({k: v.half() if v.is_floating_point() else v for k, v in load_file(file).items()}, file, metadata={'format': 'pt'})
    square = dict(do_resize=True, size=dict(height=SIZE, width=SIZE), resample=3, do_rescale=True, rescale_factor=1 / 255, do_normalize=True, image_mean=[.5] * 3, image_std=[.5] * 3)
    kinds = dict(detect=dict(image_processor_type='OwlViTImageProcessor', do_center_crop=False, **square),
                 segment=dict(image_processor_type='DPTImageProcessor', keep_aspect_ratio=False, do_pad=False, ensure_multiple_of=1, **square),
                 words=dict(image_processor_type='CLIPImageProcessor', do_center_crop=False, do_convert_rgb=True, **square))
    json.dump(kinds[task], open(f'{folder}/preprocessor_config.json', 'w'), indent=2)


if __name__ == '__main__':
    main()
