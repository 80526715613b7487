// Software Vulkan: lets the WebGPU provider find an adapter on a machine without a GPU.
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

/** Chromium brings SwiftShader along; Debian 12's own Mesa is too old for the provider. */
const drivers = [
  '/usr/lib/chromium/vk_swiftshader_icd.json',
  '/usr/lib/chromium-browser/vk_swiftshader_icd.json',
  '/opt/google/chrome/vk_swiftshader_icd.json',
];

/**
 * The environment in which WebGPU runs on the CPU, or undefined where no software driver is
 * installed.
 *
 * @returns {Readonly<Record<string, string>> | undefined}
 */
export function softwareVulkan() {
  const driver = process.env.VK_ICD_FILENAMES ?? drivers.find((path) => existsSync(path));
  if (!driver) return undefined;
  return {
    VK_ICD_FILENAMES: driver,
    XDG_RUNTIME_DIR: process.env.XDG_RUNTIME_DIR ?? tmpdir(),
    ...loaderPath(dirname(driver)),
  };
}

/**
 * Chromium also brings the Vulkan loader, which a machine without graphics lacks.
 *
 * @param {string} folder
 * @returns {Record<string, string>}
 */
function loaderPath(folder) {
  if (!existsSync(join(folder, 'libvulkan.so.1'))) return {};
  const others = (process.env.LD_LIBRARY_PATH ?? '')
    .split(delimiter)
    .filter((path) => path && path !== folder);
  return { LD_LIBRARY_PATH: [...others, folder].join(delimiter) };
}
