// Takes the place of @vscode/spdlog in the downloaded server: its native part is not compiled
// there, and without it VS Code writes no log, so that every output channel that is one stays empty.
'use strict';
const { appendFileSync, mkdirSync } = process.getBuiltinModule('node:fs');
const { dirname } = process.getBuiltinModule('node:path');

/** In the order of spdlog's numbers; `off` is the last. */
const levels = ['trace', 'debug', 'info', 'warning', 'error', 'critical', 'off'];
const info = levels.indexOf('info');
let lowest = 0;

class Logger {
  /**
   * @param {string} _kind
   * @param {string} _name
   * @param {string} file
   */
  constructor(_kind, _name, file) {
    this.file = file;
    this.level = info;
    this.isPlain = false;
  }

  /** @param {string} name @param {string} message */
  write(name, message) {
    const level = levels.indexOf(name);
    if (level < Math.max(this.level, lowest)) return;
    const line = this.isPlain ? message : `${timeOf(new Date())} [${name}] ${message}\n`;
    try {
      appendFileSync(this.file, line);
    } catch {
      // The folder is gone: the server is being ended.
    }
  }

  getLevel() {
    return this.level;
  }

  /** @param {number} level */
  setLevel(level) {
    this.level = level;
  }

  /** The only pattern that VS Code asks for is the one above. */
  setPattern() {
    this.isPlain = false;
  }

  clearFormatters() {
    this.isPlain = true;
  }

  flush() {}
  drop() {}
}

const methods = {
  trace: 'trace',
  debug: 'debug',
  info: 'info',
  warn: 'warning',
  error: 'error',
  critical: 'critical',
};
for (const [method, level] of Object.entries(methods))
  Object.defineProperty(Logger.prototype, method, {
    /** @this {Logger} @param {string} message */
    value(message) {
      this.write(level, message);
    },
  });

/** `2026-05-04 03:02:01.000`, by the clock of the machine. @param {Date} date */
function timeOf(date) {
  const two = (/** @type {number} */ value, width = 2) => String(value).padStart(width, '0');
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-');
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map((value) => two(value)).join(':');
  return `${day} ${time}.${two(date.getMilliseconds(), 3)}`;
}

/** @param {string} name @param {string} file */
async function createLogger(name, file) {
  mkdirSync(dirname(file), { recursive: true });
  return new Logger('rotating', name, file);
}

// One by one: who imports it as an ES module finds names that are given in this way alone.
exports.version = 0;
exports.setLevel = (/** @type {number} */ level) => void (lowest = level);
exports.setFlushOn = () => undefined;
exports.Logger = Logger;
exports.createRotatingLogger = createLogger;
exports.createAsyncRotatingLogger = createLogger;
