#!/usr/bin/python3
"""Frames of real files through our decoders, compared with pydicom + numpy (native, RLE) and dcmtk (JPEG).

oracle.py FRAME_TOOL   Lossless codings must agree sample for sample; baseline JPEG too (both are libjpeg's ISLOW).
Reads ../shared/data/dicom, or FANAL_SHARED; skips where it is absent. Prints TAP, one test a transfer syntax.
"""
import os
import subprocess
import sys
import tempfile
import warnings

import numpy
import pydicom
from pydicom.encaps import decode_data_sequence, generate_pixel_data_frame
from pydicom.pixel_data_handlers import numpy_handler, rle_handler

warnings.simplefilter("ignore")
TOOL = sys.argv[1]
SHARED = os.environ.get("FANAL_SHARED", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../../shared"))
NATIVE = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"}
RLE = "1.2.840.10008.1.2.5"
JPEG = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"}
FRAMES = 2  # of each file: the first ones

# What we draw and the oracle cannot, or the other way round, each with its reason.
EXCEPTIONS = {
    # OW of 8-bit cells whose writer did not swap the bytes of a word (its little endian twin is byte for byte the
    # same), against PS3.5 Annex D; we swap, as the standard says.
    "transfer_syntaxes/explicit_vr_big_endian/dicomtestfiles__OBXXXX1A_expb.dcm",
}


def encoded_frames(ds, syntax):
    count = int(ds.get("NumberOfFrames") or 1)
    data = ds.PixelData
    if syntax in NATIVE:
        bits = ds.Rows * ds.Columns * ds.SamplesPerPixel * ds.BitsAllocated
        if ds.PhotometricInterpretation == "YBR_FULL_422":
            bits = bits * 2 // 3
        size = (bits + 7) // 8
        if bits % 8 and count > 1:
            return []
        size += size % 2 if count == 1 else 0
        return [data[i * size:(i + 1) * size] for i in range(min(count, FRAMES))]
    if count == 1:
        return [b"".join(decode_data_sequence(data))]
    frames = generate_pixel_data_frame(data, count)
    return [next(frames) for _ in range(min(count, FRAMES))]


def ours(ds, syntax, frame, big, folder):
    args = [TOOL, syntax] + [str(int(v)) for v in (
        ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.BitsAllocated, ds.BitsStored, ds.HighBit,
        ds.PixelRepresentation, ds.get("PlanarConfiguration", 0) or 0, big)]
    args.append(ds.PhotometricInterpretation)
    if ds.PhotometricInterpretation == "PALETTE COLOR" and "RedPaletteColorLookupTableData" in ds:
        for colour in ("Red", "Green", "Blue"):
            table = os.path.join(folder, colour)
            words = bytes(ds[colour + "PaletteColorLookupTableData"].value)
            if big:
                words = numpy.frombuffer(words, ">u2").astype("<u2").tobytes()
            with open(table, "wb") as f:
                f.write(words)
            args += ["\\".join(str(v) for v in ds[colour + "PaletteColorLookupTableDescriptor"].value), table]
    run = subprocess.run(args, input=frame, capture_output=True, timeout=30)
    if run.returncode not in (0, 1):
        raise RuntimeError(f"tool exit {run.returncode}: {run.stderr[-200:]!r}")
    return (run.stdout if run.returncode == 0 else None), run.stderr.decode(errors="replace").strip()


def mask(samples, ds):
    shift, stored = ds.HighBit + 1 - ds.BitsStored, ds.BitsStored
    wide = (samples.astype(numpy.int64) >> shift) & ((1 << stored) - 1)
    if ds.PixelRepresentation == 1:
        wide = numpy.where(wide >> (stored - 1) != 0, wide - (1 << stored), wide)
    return wide


def expected(path, ds, syntax, index, folder):
    """Samples of one frame as int64, before colour; None where the oracle does not know."""
    if syntax in JPEG:
        plain = os.path.join(folder, "plain.dcm")
        if subprocess.run(["dcmdjpeg", path, plain], capture_output=True).returncode != 0:
            return None, None
        ds = pydicom.dcmread(plain, force=True)
    handler = rle_handler if syntax == RLE else numpy_handler
    try:
        a = handler.get_pixeldata(ds)
        a = pydicom.pixel_data_handlers.util.reshape_pixel_array(ds, a)
    except Exception:  # pydicom's ways of refusing are many
        return None, None
    if int(ds.get("NumberOfFrames") or 1) > 1:
        a = a[index]
    return a, ds


def to_rgb(a, ds, syntax):
    if ds.PhotometricInterpretation == "PALETTE COLOR":
        return pydicom.pixel_data_handlers.util.apply_color_lut(a, ds) >> (
            8 if ds.RedPaletteColorLookupTableDescriptor[2] == 16 else 0)
    if ds.PhotometricInterpretation in ("YBR_FULL", "YBR_FULL_422"):
        return pydicom.pixel_data_handlers.util.convert_color_space(a, "YBR_FULL", "RGB")
    return a


def compare(path, folder):
    try:
        ds = pydicom.dcmread(path, force=True)
        syntax = str(ds.file_meta.TransferSyntaxUID) if "TransferSyntaxUID" in ds.file_meta else "1.2.840.10008.1.2"
        if "PixelData" not in ds or syntax not in NATIVE | JPEG | {RLE}:
            return None
        big = syntax == "1.2.840.10008.1.2.2" and (ds.BitsAllocated > 8 or ds["PixelData"].VR == "OW")
        frames = encoded_frames(ds, syntax)
        if big and ds.BitsAllocated == 8:  # pydicom 2 leaves the bytes of words swapped (PS3.5 Annex D)
            data = ds.PixelData + b"\0" * (len(ds.PixelData) % 2)
            ds.PixelData = numpy.frombuffer(data, ">u2").astype("<u2").tobytes()
    except Exception:
        return None
    for index, frame in enumerate(frames):
        try:
            out, said = ours(ds, syntax, frame, big, folder)
        except (AttributeError, TypeError, ValueError):
            return None  # a data set that does not describe its pixels
        want, plain = expected(path, ds, syntax, index, folder)
        if out is None:
            return syntax, ("unsupported" if said.startswith("unsupported") else "wrong") if want is not None else "neither", said
        if want is None:
            return syntax, "alone", ""
        if said == "RGB":
            want, slack = to_rgb(want, plain, syntax).astype(numpy.int64), int("YBR" in plain.PhotometricInterpretation)
        else:
            want, slack = mask(want, plain), 0
        width = len(out) // want.size
        kind = {1: "u1", 2: "<u2", 4: "<u4"}[width]
        got = numpy.frombuffer(out, kind.replace("u", "i") if want.min() < 0 else kind).astype(numpy.int64)
        worst = int(numpy.abs(got - want.reshape(-1)).max())
        if worst > slack:
            return syntax, "wrong", f"differs by up to {worst}"
    return syntax, "equal", ""


def main():
    root = os.path.join(SHARED, "data/dicom")
    if not os.path.isdir(root):
        print("1..1\nok 1 - oracle # SKIP no ../shared/data/dicom")
        return 0
    table, wrong = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for base, _, names in sorted(os.walk(root)):
            for name in sorted(names):
                path = os.path.join(base, name)
                answer = compare(path, folder)
                if answer is None:
                    continue
                syntax, verdict, text = answer
                table.setdefault(syntax, {}).setdefault(verdict, 0)
                table[syntax][verdict] += 1
                if verdict != "equal":
                    print(f"# {verdict} {os.path.relpath(path, root)}: {text}")
                if verdict == "wrong" and os.path.relpath(path, root) not in EXCEPTIONS:
                    wrong.setdefault(syntax, []).append(path)
    print(f"1..{len(table)}")
    for i, (syntax, counts) in enumerate(sorted(table.items()), 1):
        print(f"{'not ok' if wrong.get(syntax) or not (counts.get('equal') or counts.get('unsupported')) else 'ok'} {i} - {syntax} {counts}")
    return 1 if wrong else 0


sys.exit(main())
