// An invented hospital in several scripts. Field names are those of docs/web-api.md.
import { crImage, ctSlice, mrSlice, usFrame } from './pixels.mjs';

const MIN = 60e6;
export const nowUs = () => Date.now() * 1000;
const ago = (minutes) => nowUs() - minutes * MIN;

const two = (n) => String(n).padStart(2, '0');

/* An HL7 time some minutes ago, as a sender writes it; with a zone where it gives one. */
function hl7(minutes, zone = '') {
  const d = new Date(Date.now() - minutes * 60000);
  return `${d.getFullYear()}${two(d.getMonth() + 1)}${two(d.getDate())}${two(d.getHours())}${two(d.getMinutes())}${zone}`;
}

const day = (minutes) => hl7(minutes).slice(0, 8);
const clock = (minutes) => `${hl7(minutes).slice(8)}00`;

const PEOPLE = [
  ['dupont-marie', '8001234', 'DUPONT^Marie^Claire', '19480312', 'F', { latest: ago(3), count: 5 }],
  ['dupont-marie-2', '8005678', 'DUPONT^Marie', '19480312', 'F', { latest: ago(60 * 26), count: 1 }],
  ['dupuis', '8002222', "D'UPUIS-LÉVÊQUE^Jean-Baptiste^François Xavier", '19480312', 'M', { latest: ago(190), count: 0 }],
  ['yamada', '8003333', 'Yamada^Tarou=山田^太郎=やまだ^たろう', '19800420', 'M', { latest: ago(45), count: 1 }],
  ['arabic', '8004444', 'قباني^لنزار', '19910101', 'M', { latest: ago(50), count: 0 }],
  ['greek', '8006666', 'Διονυσιος^Παπαδοπουλος', '1962', 'O', { latest: ago(500), count: 0 }],
  ['hong', '8007777', 'Hong^Gildong=洪^吉洞=홍^길동', '20250930', 'M', { latest: ago(15), count: 0 }],
  ['unknown', '', 'X^INCONNU 3', '', '', { latest: ago(8), count: 1 }],
  ['nasty', '9'.repeat(90), `<img src=x onerror=alert(1)>${'W'.repeat(120)}^"';--<script>alert(1)</script>`, '19010101', '<b>', { latest: ago(9e5), discrepancy: ['patient_name: <i>x</i>', 'something else'] }],
  ['martin', '8008888', 'MARTIN^Paul', '19750705', 'M', { latest: ago(20), count: 2, discrepancy: ['birth_date: 19570705 (CT1)', 'patient_name: MARTIN^Paule (LIS)'] }],
];

export const patients = PEOPLE.map(([key, id, name, birth, sex, more]) => ({
  patient_key: key, patient_id: id, issuer: id ? 'CHU NORD' : '', patient_name: name, birth_date: birth, sex, discrepancy: [], ...more,
}));

const CT_COUNT = Number(process.env.MOCK_CT_SLICES ?? 120);

function ctInstances(first, count) {
  return Array.from({ length: count }, (_, i) => ({
    position: first + i, state: i === 57 ? 'conflict' : 'stored', received: ago(240), instance_number: String(i + 1),
    sop_uid: `1.2.826.0.1.9.1.${first + i}`, transfer_syntax: '1.2.840.10008.1.2.1',
    rows: 512, columns: 512, samples_per_pixel: 1, photometric: 'MONOCHROME2', bits_allocated: 16, bits_stored: 16, high_bit: 15,
    pixel_representation: 1, window_center: '40\\400', window_width: '80\\2000', rescale_intercept: '0', rescale_slope: '1', rescale_type: 'HU',
    image_orientation: '1\\0\\0\\0\\0.97\\-0.242', image_position: `-125\\-125\\${(-60 + i * 1.25).toFixed(2)}`, pixel_spacing: '0.488\\0.488',
    acquisition_date: day(250), acquisition_time: clock(250),
  }));
}

const one = (position, more) => ({ position, state: 'stored', received: ago(200), instance_number: '1', samples_per_pixel: 1, photometric: 'MONOCHROME2', transfer_syntax: '1.2.840.10008.1.2.1', ...more });

const SERIES = {
  'ct-head': {
    row: { modality: 'CT', series_number: '3', series_description: 'Crâne sans injection 1,25 mm', body_part: 'HEAD', latest: ago(238) },
    instances: ctInstances(1000, CT_COUNT), frame: (i) => ctSlice(i.position - 1000, CT_COUNT), render: { center: 40, width: 80, signed: true },
  },
  'ct-scout': {
    row: { modality: 'CT', series_number: '1', series_description: 'Topogramme', body_part: 'HEAD', latest: ago(239) },
    instances: ctInstances(900, 1), frame: () => ctSlice(60, 120), render: { center: 200, width: 1600, signed: true },
  },
  'ct-j2k': {
    row: { modality: 'CT', series_number: '4', series_description: 'Angio TSA', body_part: 'NECK', latest: ago(237) },
    instances: [one(800, { rows: 512, columns: 512, transfer_syntax: '1.2.840.10008.1.2.4.90' })], unsupported: true,
  },
  'cr-chest': {
    row: { modality: 'DX', series_number: '1', series_description: 'Thorax face', body_part: 'CHEST', latest: ago(0.1) },
    instances: [one(700, {
      rows: 1200, columns: 1000, photometric: 'MONOCHROME1', bits_allocated: 16, bits_stored: 12, high_bit: 11, pixel_representation: 0,
      window_center: '2048', window_width: '4096', patient_orientation: 'L\\F', pixel_spacing: '0.3\\0.3', acquisition_date: day(2), acquisition_time: clock(2),
    })], frame: () => crImage(1200, 1000), render: { center: 2048, width: 4096 },
  },
  'dx-hand': {
    row: { modality: 'DX', series_number: '1', series_description: 'Main droite, face et oblique', body_part: 'HAND', laterality: 'R', latest: ago(60 * 24 * 90) },
    instances: [one(710, { rows: 500, columns: 400, photometric: 'MONOCHROME1', pixel_representation: 0, image_laterality: 'R', window_center: '2048', window_width: '4096' })],
    frame: () => crImage(500, 400), render: { center: 2048, width: 4096 },
  },
  'us-abdo': {
    row: { modality: 'US', series_number: '1', series_description: 'Abdomen, Doppler couleur', body_part: 'ABDOMEN', latest: ago(60 * 20) },
    instances: [one(600, { rows: 360, columns: 480, frames: 40, samples_per_pixel: 3, photometric: 'RGB', bits_allocated: 8, bits_stored: 8, lossy: '01', content_date: day(60 * 20), content_time: clock(60 * 20) })],
    frame: (_, f) => usFrame(f), render: {},
  },
  'mr-spine': {
    row: { modality: 'MR', series_number: '2', series_description: 'T2 sagittal', body_part: 'LSPINE', latest: ago(60 * 24 * 400) },
    instances: Array.from({ length: 14 }, (_, i) => one(500 + i, {
      instance_number: String(i + 1), rows: 256, columns: 256, pixel_representation: 0, image_orientation: '0\\1\\0\\0\\0\\-1',
      image_position: `${-20 + i * 3}\\-100\\100`, pixel_spacing: '0.8\\0.8',
    })), frame: (i) => mrSlice(i.position - 500), render: { center: 400, width: 900 },
  },
};

/* Two patients in one study, as happens when a modality was not told of the next patient. */
SERIES.mixed = {
  row: { modality: 'MR', series_number: '1', series_description: 'Série de deux patients', latest: ago(500) },
  instances: Array.from({ length: 5 }, (_, i) => one(400 + i, { instance_number: String(i + 1), rows: 256, columns: 256, pixel_representation: 0 })),
  frame: (i) => mrSlice(i.position - 400), render: { center: 400, width: 900 }, owner: (i) => (i.position % 2 ? 'arabic' : 'greek'),
};

const STUDIES = {
  'st-ct': { row: { study_date: day(250), study_time: clock(250), study_description: 'TDM crânio-encéphalique', modality: ['CT'], accession: 'A26112301', referring_physician: 'BERNARD^Luc', received: ago(245), latest: ago(237), institution: 'CHU Nord', state: 'conflict' }, series: ['ct-scout', 'ct-head', 'ct-j2k'] },
  'st-cr': { row: { study_date: day(2), study_time: clock(2), study_description: 'Radiographie du thorax', modality: ['DX'], accession: 'A26112302', received: ago(2), latest: ago(1.5) }, series: ['cr-chest'] },
  'st-us': { row: { study_date: day(60 * 20), study_time: clock(60 * 20), study_description: 'Échographie abdominale', modality: ['US'], received: ago(60 * 20), latest: ago(60 * 20) }, series: ['us-abdo'] },
  'st-hand': { row: { study_date: day(60 * 24 * 90), study_time: '1015', study_description: 'Main droite', modality: ['DX'], received: ago(60 * 24 * 90), latest: ago(60 * 24 * 90) }, series: ['dx-hand'] },
  'st-mr': { row: { study_date: day(60 * 24 * 400), study_time: '', study_description: '', modality: ['MR'], received: ago(60 * 24 * 400), latest: ago(60 * 24 * 400) }, series: ['mr-spine'] },
};

STUDIES['st-mixed'] = { row: { study_date: day(500), study_description: 'IRM', modality: ['MR'], received: ago(500), latest: ago(500), discrepancy: ['patient_id'] }, series: ['mixed'] };

const STUDIES_OF = { greek: ['st-mixed'], arabic: ['st-mixed'], 'dupont-marie': ['st-cr', 'st-ct', 'st-us', 'st-hand', 'st-mr'], 'dupont-marie-2': ['st-hand'], yamada: ['st-mr'], unknown: ['st-cr'], martin: ['st-ct', 'st-us'] };

let next = 1;
const reports = [];
const observations = [];

/* One report: rows are [code, text, value, units, range, flags, status, more]. */
function report(patient, minutes, service, rows, more = {}) {
  const id = next++;
  const zone = more.zone ?? '';
  reports.push({ patient, report_id: id, service_text: service, report_status: more.status ?? 'F', collected: more.collected ?? hl7(minutes, zone), received: ago(minutes - 25), specimen: more.specimen, note: more.note ?? [], source: 'LIS', position: id });
  for (const [code, text, value, units, range, flags, status, extra] of rows)
    observations.push({
      patient, observation_id: next++, report_id: id, code, code_text: text, value, units, reference_range: range, abnormal_flags: flags, status: status ?? 'F',
      value_type: 'NM', collected: more.collected ?? hl7(minutes, zone), observed: hl7(minutes - 20, zone), received: ago(minutes - 25), zone: 'Europe/Paris', source: 'LIS', position: id, ...extra,
    });
  return id;
}

const before = (value, units, minutes, flags = '') => ({ previous: { value, units, status: 'F', observed: hl7(minutes), received: ago(minutes - 20), abnormal_flags: flags } });

for (const p of ['dupont-marie', 'martin']) {
  report(p, 40, 'Gaz du sang artériel', [
    ['PH', 'pH', '7.21', '', '7.35 - 7.45', 'LL', 'P', before('7.38', '', 60 * 18)],
    ['PCO2', 'pCO2', '62', 'mmHg', '35 - 45', 'HH', 'P', before('41', 'mmHg', 60 * 18)],
    ['LAC', 'Lactates', '4.10', 'mmol/L', '< 2.0', 'H', 'P'],
  ], { status: 'P', specimen: 'Sang artériel', zone: '+0100' });
  report(p, 70, 'Ionogramme sanguin', [
    ['NA', 'Sodium', '131', 'mmol/L', '135 - 145', 'L', 'F', before('138', 'mmol/L', 60 * 18)],
    ['K', 'Potassium', '6.8', 'mmol/L', '3.5 - 5.1', 'HH', 'C', { ...before('4.2', 'mmol/L', 60 * 18), replaced: [{ value: '4.6', status: 'F', received: ago(55), abnormal_flags: 'N' }], note: 'Contrôlé sur second tube, sérum non hémolysé. Appelé aux urgences.' }],
    ['CL', 'Chlorures', '99', 'mmol/L', '98 - 107', 'N', 'F', before('101', 'mmol/L', 60 * 18)],
    ['CREA', 'Créatinine', '148', 'µmol/L', '45 - 84', 'H', 'F', before('142', 'µmol/L', 60 * 18, 'H')],
    ['GLU', 'Glucose', '5.6', 'mmol/L', '3.9 - 6.1', '', 'F', before('0.98', 'g/L', 60 * 18)],
  ], { specimen: 'Sérum', note: ['Prélèvement difficile.'] });
  report(p, 71, 'Hémogramme', [
    ['HB', 'Hémoglobine', '8.4', 'g/dL', '12.0 - 16.0', 'L', 'F', before('11.9', 'g/dL', 60 * 18, 'L')],
    ['WBC', 'Leucocytes', '14.2', 'G/L', '4.0 - 10.0', 'H', 'F', before('9.7', 'G/L', 60 * 18)],
    ['PLT', 'Plaquettes', '212', 'G/L', '150 - 400', 'N', 'F', before('230', 'G/L', 60 * 18)],
    ['SCHI', 'Schizocytes', '', '', '', '', 'X'],
  ], { specimen: 'Sang total EDTA' });
  report(p, 75, 'Troponine', [['TNI', 'Troponine I hs', '>25000', 'ng/L', '< 16', '>', 'R', before('14', 'ng/L', 60 * 18)]]);
  report(p, 60 * 9, 'Hémoculture, premier flacon', [
    ['BAC', 'Examen direct', 'Bacilles à Gram négatif, culture en cours.\nAntibiogramme à suivre.', '', '', 'A', 'P', { value_type: 'TX' }],
    ['AMX', 'Amoxicilline', 'R', '', '', 'R', 'P', { value_type: 'ST' }],
    ['CTX', 'Céfotaxime', 'S', '', '', 'S', 'P', { value_type: 'ST' }],
  ], { status: 'P', collected: '' });
  report(p, 60 * 30, 'Compte rendu', [['CR', 'Compte rendu d’hospitalisation', '', '', '', '', 'F', { value_type: 'ED', mime_type: 'application/pdf', document_offset: 412, document_length: 90, document_title: 'Compte rendu d’hospitalisation, cardiologie' }]]);
}
report('nasty', 50, `${'service '.repeat(40)}<script>`, [['<b>', 'x'.repeat(200), '1'.repeat(39), 'u'.repeat(80), '0 - '.repeat(30), 'H~<script>', '<', { note: ['n'.repeat(500)], ...before('<del>', '', 50000) }]], { collected: 'not a time at all' });
report('yamada', 50, '血液検査', [['CRP', 'C反応性蛋白', '0.30', 'mg/dL', '0.00 - 0.14', 'H', 'F'], ['AST', 'ＧＯＴ', '24', 'U/L', '10 - 40', 'N', 'F']]);
report('arabic', 55, 'تحليل الدم', [['HB', 'الهيموغلوبين', '13.1', 'g/dL', '13 - 17', '', 'F'], ['XX', 'Marqueur Z', '4', '', '', 'ZZ', '']]);

export const attention = [
  { position: 4100, kind: 'file', state: 'damaged', file: 'body/images/202611-00000003.body', detail: 'body/images/202611-00000003.body: 412 sectors cannot be repaired here', received: ago(20), since: ago(20) },
  { position: 4090, kind: 'file', state: 'repaired', file: 'log/00000002.seg', detail: 'log/00000002.seg: 3 sectors', received: ago(60), since: ago(60) },
  { position: 4021, kind: 'dicom', state: 'conflict', reason: 'pixels differ from the version received first', patient_id: '8001234', issuer: 'CHU NORD', patient_name: 'DUPONT^Marie^Claire', received: ago(235), source: 'CT1' },
  { position: 4010, kind: 'hl7', state: 'not-understood', reason: 'OBX[3]-5: value type NM holds text', message_type: 'ORU', trigger: 'R01', ack_code: 'AE', received: ago(300), source: 'LIS' },
  { position: 3950, kind: 'dicom', state: 'facts-differ', difference: 'patient_id issuer', patient_id: '8001234', issuer: 'CHU NORD', patient_name: 'DUPONT^Marie^Claire', received: ago(400), source: 'CT1' },
  { position: 3900, kind: 'dicom', state: 'refused', reason: 'no Study Instance UID', received: ago(60 * 30), source: 'US2' },
];

export const sources = () => [
  { source: 'CT1', kind: 'dicom', latest: ago(3), count: 24011 },
  { source: 'RADIO2', kind: 'dicom', latest: ago(1.5), count: 3120 },
  { source: 'LIS', kind: 'hl7', latest: ago(17), count: 90121 },
  { source: 'IRM', kind: 'dicom', latest: ago(60 * 30), count: 120 },
];

const fold = (text) => text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();
const components = (name) => name.split('=').flatMap((group) => group.split(/[\^\s'-]+/)).concat(name.split('=').flatMap((group) => group.split('^'))).map(fold);

export function findPatients(query) {
  const starts = (patient, prefix) => components(patient.patient_name).some((part) => part.startsWith(fold(prefix)));
  const birth = query.get('birth_date');
  const letters = query.get('letters') ?? '';
  if (birth) return patients.filter((p) => p.birth_date.startsWith(birth) && (!letters || starts(p, letters)));
  if (query.get('name')) return patients.filter((p) => starts(p, query.get('name')));
  return patients.filter((p) => p.patient_id && p.patient_id === query.get('identifier') && (!query.get('issuer') || p.issuer === query.get('issuer')));
}

export function patientPage(key) {
  const patient = patients.find((p) => p.patient_key === key);
  if (!patient) return null;
  const studies = (STUDIES_OF[key] ?? []).map((uid) => ({ study_uid: uid, discrepancy: [], ...STUDIES[uid].row, count: STUDIES[uid].series.reduce((n, s) => n + SERIES[s].instances.length, 0) }));
  return { ...patient, other_id: [], encounter: key === 'dupont-marie' ? [{ location: 'URG^BOX 4', patient_class: 'E' }] : [], studies, reports: reports.filter((r) => r.patient === key) };
}

export function observationPage(key, after) {
  const all = observations.filter((o) => o.patient === key).sort((a, b) => (b.collected || '').localeCompare(a.collected || '') || a.observation_id - b.observation_id);
  const from = after === null ? 0 : all.findIndex((o) => o.observation_id === Number(after)) + 1;
  return all.slice(from, from + 100);
}

/* The instances of a series that are this patient's. */
function ownOf(series, patient) {
  const { instances, owner } = SERIES[series];
  return owner && patient ? instances.filter((i) => owner(i) === patient) : instances;
}

export function seriesOf(study, patient) {
  return STUDIES[study]?.series.map((uid) => {
    const { row } = SERIES[uid];
    const instances = ownOf(uid, patient);
    const middle = instances[Math.floor(instances.length / 2)];
    return { series_uid: uid, ...row, count: instances.length, position: middle.position, rows: middle.rows, columns: middle.columns };
  });
}

export function instancePage(series, after, patient) {
  const all = SERIES[series] && ownOf(series, patient);
  const from = after === null ? 0 : (all?.findIndex((i) => i.position === Number(after)) ?? 0) + 1;
  return all?.slice(from, from + 100);
}

export function instanceAt(position) {
  for (const series of Object.values(SERIES)) {
    const instance = series.instances.find((i) => i.position === position);
    if (instance) return { series, instance };
  }
  return null;
}

export function instanceRow(position) {
  const found = instanceAt(position);
  return found && { ...found.instance, patient_key: found.series.owner?.(found.instance) };
}

/* What happens while a page is open. Each returns the news that the gate would send. */
export function resultArrives(key) {
  report(key, 26, 'CRP', [['CRP', 'Protéine C réactive', '187', 'mg/L', '< 5', 'H', 'F', before('12', 'mg/L', 60 * 18, 'H')]]);
  return { position: next, kind: 'hl7', patient_key: key };
}

export function imageArrives(key, study, series) {
  const list = SERIES[series].instances;
  const last = list[list.length - 1];
  const z = -60 + list.length * 1.25;
  list.push({ ...last, position: last.position + 1, state: 'stored', received: nowUs(), instance_number: String(list.length + 1), image_position: `-125\\-125\\${z.toFixed(2)}` });
  SERIES[series].row.latest = nowUs();
  return { position: last.position + 1, kind: 'dicom', patient_key: key, study_uid: study, series_uid: series };
}
