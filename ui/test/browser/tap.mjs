// A few lines of TAP: each flow is one test; a flow that throws has failed and says why.
export class Tap {
  count = 0;
  failed = 0;

  async test(name, flow) {
    this.count += 1;
    try {
      await flow();
      console.log(`ok ${this.count} - ${name}`);
    } catch (error) {
      this.failed += 1;
      console.log(`not ok ${this.count} - ${name}`);
      console.log(String(error.stack ?? error).split('\n').slice(0, 12).map((line) => `# ${line}`).join('\n'));
    }
  }

  skip(name, why) {
    this.count += 1;
    console.log(`ok ${this.count} - ${name} # SKIP ${why}`);
  }

  note(text) {
    console.log(`# ${text}`);
  }

  end() {
    console.log(`1..${this.count}`);
    return this.failed > 0 ? 1 : 0;
  }
}
