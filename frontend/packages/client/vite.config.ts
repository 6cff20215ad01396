import { defineConfig } from 'vite';

/** Bundles the worker into one file, next to the modules that tsc has written. */
export default defineConfig({
  build: {
    lib: { entry: 'src/worker.ts', formats: ['es'], fileName: () => 'worker.js' },
    emptyOutDir: false,
    minify: 'oxc',
  },
});
