// Compiles every .wgsl file of a folder with Tint, by Dawn's null backend, which needs no driver.
// Exit code 1 when there is an error or a warning.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { create, globals } from 'webgpu';

Object.assign(globalThis, globals);
const folder = process.argv[2];
// Held until the end: the adapter does not keep it.
const gpu = create(['backend=null']);
const adapter = await gpu.requestAdapter();
const device = await adapter.requestDevice();

async function complaints(name) {
  // Without a scope, an error ends the process.
  device.pushErrorScope('validation');
  // `@coherent` is naga's own: it says how loads and stores are ordered, and changes no other rule.
  const code = readFileSync(join(folder, name), 'utf8').replaceAll('@coherent ', '');
  const module = device.createShaderModule({ code });
  const { messages } = await module.getCompilationInfo();
  await device.popErrorScope();
  return messages
    .filter((message) => message.type !== 'info')
    .map((message) => `${name}:${message.lineNum}: ${message.type}: ${message.message}`);
}

const names = readdirSync(folder).filter((name) => name.endsWith('.wgsl'));
const said = [];
for (const name of names) said.push(...(await complaints(name)));
said.forEach((line) => console.error(line));
console.log(`${names.length} shaders, ${said.length} complaints`);
device.destroy();
process.exit(gpu && said.length === 0 && names.length > 0 ? 0 : 1);
