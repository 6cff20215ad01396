import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { gatewayURL } from './address';
import { App } from './App';
import { base } from './lib/base';
import './index.css';
import { startTheme } from './shell/theme';
import { token } from './shell/token';
import { createStreamClient } from '@sluice/client';

const root = document.getElementById('root');
if (!root) throw new Error('index.html has no element #root');

startTheme();
const client = createStreamClient(gatewayURL(import.meta.env, base), { token });

createRoot(root).render(
  <StrictMode>
    <App client={client} />
  </StrictMode>,
);
