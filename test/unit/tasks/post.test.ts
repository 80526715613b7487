import { checkAlone, checkBatch, readPostCases } from '../../support/post';

const cases = readPostCases(process.env.VITRINE_CASES ?? 'test/fixtures/post');

if (cases.length > 0)
  describe("answers from raw outputs equal the library's", () => {
    for (const found of cases) {
      it(found.id, () => checkAlone(found));
      if (found.batch) it(`${found.id}, all pictures in a batch`, () => checkBatch(found));
    }
  });
