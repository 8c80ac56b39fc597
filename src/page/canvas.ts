/** Draws the time line. The bars are drawn once into a picture of their own: a frame of a drag is that picture and a line. */
import type { Drawing } from './series.js';
import { timeLabels } from './time-axis.js';

export interface Scale {
  readonly fromMs: number;
  readonly toMs: number;
  readonly stepMs: number;
}

const AXIS_PX = 20;
const TOP_PX = 8;
const MIN_BAR_PX = 1;

export class TimeLineCanvas {
  private bars: HTMLCanvasElement | undefined;
  private width = 0;
  private height = 0;
  private frame = 0;
  private atMs: number | undefined;

  constructor(private readonly canvas: HTMLCanvasElement) {}

  /** Draws the bars anew: for other data, another size or other colours. */
  drawBars(drawing: Drawing, scale: Scale): void {
    const { clientWidth, clientHeight } = this.canvas;
    const ratio = devicePixelRatio;
    this.width = clientWidth;
    this.height = clientHeight;
    this.canvas.width = Math.round(clientWidth * ratio);
    this.canvas.height = Math.round(clientHeight * ratio);
    const bars = document.createElement('canvas');
    bars.width = this.canvas.width;
    bars.height = this.canvas.height;
    const context = bars.getContext('2d')!;
    context.scale(ratio, ratio);
    const style = getComputedStyle(this.canvas);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    const floor = this.height - AXIS_PX;
    context.fillStyle = colour('--rule');
    context.fillRect(0, floor, this.width, 1);
    const colours = drawing.series.map(series => colour(`--series-${series.colour}`));
    const barPx = Math.max(MIN_BAR_PX, (scale.stepMs / (scale.toMs - scale.fromMs)) * this.width - 0.5);
    // A step of one event beside one of a hundred thousand still shows: the height grows with the root.
    const heightOf = (events: number) =>
      drawing.highest === 0 ? 0 : Math.sqrt(events / drawing.highest) * (floor - TOP_PX);
    for (const step of drawing.steps) {
      const x = this.xOf(step.atMs, scale);
      let top = floor;
      const full = Math.max(2, heightOf(step.total));
      step.events.forEach((events, index) => {
        if (events === 0) return;
        const height = (events / step.total) * full;
        top -= height;
        context.fillStyle = colours[index]!;
        context.fillRect(x, top, barPx, height);
      });
    }
    this.drawAxis(context, scale, colour('--quiet'), style.fontFamily);
    this.bars = bars;
    this.drawFrame(scale);
  }

  /** Moves the line, at the next frame. @param atMs undefined for now */
  moveTo(atMs: number | undefined, scale: Scale): void {
    this.atMs = atMs;
    if (this.frame !== 0) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.drawFrame(scale);
    });
  }

  close(): void {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
  }

  private drawFrame(scale: Scale): void {
    const { bars } = this;
    // One that is being taken off the page has no size.
    if (bars === undefined || bars.width === 0 || bars.height === 0) return;
    const context = this.canvas.getContext('2d')!;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, bars.width, bars.height);
    context.drawImage(bars, 0, 0);
    context.scale(devicePixelRatio, devicePixelRatio);
    const style = getComputedStyle(this.canvas);
    const x = this.atMs === undefined ? this.width - 1.5 : this.xOf(this.atMs, scale);
    if (this.atMs !== undefined) {
      context.fillStyle = style.getPropertyValue('--veil');
      context.fillRect(x, 0, this.width - x, this.height - AXIS_PX);
    }
    context.fillStyle = style.getPropertyValue('--accent');
    context.fillRect(x - 1, 0, 2, this.height - AXIS_PX);
    context.beginPath();
    context.arc(Math.min(Math.max(x, 6), this.width - 6), 6, 6, 0, Math.PI * 2);
    context.fill();
  }

  private xOf(ms: number, { fromMs, toMs }: Scale): number {
    return ((ms - fromMs) / (toMs - fromMs)) * this.width;
  }

  private drawAxis(context: CanvasRenderingContext2D, scale: Scale, colour: string, font: string): void {
    context.font = `12px ${font}`;
    context.fillStyle = colour;
    context.textBaseline = 'bottom';
    for (const { atMs, text } of timeLabels(scale.fromMs, scale.toMs, this.width))
      context.fillText(text, this.xOf(atMs, scale) + 2, this.height - 2);
  }
}
