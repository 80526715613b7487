import { extname } from 'node:path';

/** Containers of video whose frames ffmpeg reads: lower case with the dot, what menus offer. */
export const videoExtensions: readonly string[] = [
  '.mp4',
  '.m4v',
  '.mov',
  '.webm',
  '.mkv',
  '.avi',
  '.mpg',
  '.mpeg',
  '.ogv',
  '.wmv',
];

/** Whether the name of a file says that it is a video. */
export const isVideo = (path: string): boolean => videoExtensions.includes(extname(path).toLowerCase());
