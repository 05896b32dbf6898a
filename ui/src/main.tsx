import { render } from 'preact';
import './style/base.css';
import './style/views.css';
import './style/patient.css';
import './style/viewer.css';
import { App } from './app';
import { keepPulse } from './state/session';

render(<App />, document.getElementById('app')!);
keepPulse();
