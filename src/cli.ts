#!/usr/bin/env node
import { join } from 'node:path';
import { runCompiled } from './commandLine/compiled';

// What `vitrine` starts: the commands themselves are a bundle that shares code with the extension,
// and whose compiled code is kept.
runCompiled(join(__dirname, 'commands.js'));
