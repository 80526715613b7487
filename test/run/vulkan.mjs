// Software Vulkan: lets the WebGPU provider find an adapter on a machine without a GPU.
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';

/** Chromium brings SwiftShader along; Debian 12's own Mesa is too old for the provider. */
const drivers = [
  '/usr/lib/chromium/vk_swiftshader_icd.json',
  '/usr/lib/chromium-browser/vk_swiftshader_icd.json',
  '/opt/google/chrome/vk_swiftshader_icd.json',
];

/**
 * The environment in which WebGPU runs on the CPU, or undefined where no software driver is installed.
 *
 * @returns {{VK_ICD_FILENAMES: string, XDG_RUNTIME_DIR: string} | undefined}
 */
export function softwareVulkan() {
  const driver = process.env.VK_ICD_FILENAMES ?? drivers.find((path) => existsSync(path));
  if (!driver) return undefined;
  return { VK_ICD_FILENAMES: driver, XDG_RUNTIME_DIR: process.env.XDG_RUNTIME_DIR ?? tmpdir() };
}
