/** Keypoints of COCO's persons (Lin et al. 2014, "Keypoint Detection") in their order. */
const names =
  'nose,left eye,right eye,left ear,right ear,left shoulder,right shoulder,left elbow,right elbow,' +
  'left wrist,right wrist,left hip,right hip,left knee,right knee,left ankle,right ankle';

/** Which of them are joined in drawings, by their numbers from 0 (COCO's `skeleton`). */
const bones = '15-13,13-11,16-14,14-12,11-12,5-11,6-12,5-6,5-7,6-8,7-9,8-10,1-2,0-1,0-2,1-3,2-4,3-5,4-6';

/** A pair of keypoints. */
export type Bone = readonly [from: number, to: number];

/** Names of COCO's keypoints for a model of as many; undefined of another number. */
export function cocoKeypointNames(count: number): readonly string[] | undefined {
  const all = names.split(',');
  return count === all.length ? all : undefined;
}

/** COCO's lines between keypoints for a model of as many; none of another number. */
export const cocoBones = (count: number): readonly Bone[] =>
  cocoKeypointNames(count) === undefined
    ? []
    : bones.split(',').map((bone) => bone.split('-').map(Number) as unknown as Bone);
