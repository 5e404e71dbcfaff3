using System.Buffers.Binary;
using System.Numerics;

namespace Actors.Programs;

/// <summary>
/// xoshiro256** (Blackman, Vigna 2018), its state filled by SplitMix64 from the run's uuid: the same numbers for the same run on every
/// runtime and version, which System.Random does not promise. Drawn outside of a turn it would be drawn again in replay, or not at all: it
/// refuses.
/// </summary>
internal sealed class WorkflowRandom : Random
{
    private readonly Action _inTurn;
    private ulong _s0, _s1, _s2, _s3;

    /// <param name="inTurn">Throws where a turn is not under way.</param>
    public WorkflowRandom(Guid run, Action inTurn)
    {
        _inTurn = inTurn;
        Span<byte> bytes = stackalloc byte[16];
        run.TryWriteBytes(bytes, bigEndian: true, out _);
        var (high, low) = (BinaryPrimitives.ReadUInt64BigEndian(bytes), BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]));
        (_s0, _s1) = (SplitMix64(ref high), SplitMix64(ref high));
        low ^= _s1; // Halves that are alike must not make states that are.
        (_s2, _s3) = (SplitMix64(ref low), SplitMix64(ref low));
    }

    public override int Next() => (int)Below(int.MaxValue);

    public override int Next(int maxValue)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(maxValue);
        return (int)Below((ulong)maxValue);
    }

    public override int Next(int minValue, int maxValue) => (int)NextInt64(minValue, maxValue);

    public override long NextInt64() => (long)Below(long.MaxValue);

    public override long NextInt64(long maxValue)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(maxValue);
        return (long)Below((ulong)maxValue);
    }

    public override long NextInt64(long minValue, long maxValue)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(minValue, maxValue);
        return unchecked(minValue + (long)Below((ulong)maxValue - (ulong)minValue));
    }

    public override double NextDouble() => (Draw() >> 11) * (1.0 / (1UL << 53));

    public override float NextSingle() => (Draw() >> 40) * (1.0f / (1U << 24));

    public override void NextBytes(byte[] buffer) => NextBytes(buffer.AsSpan());

    public override void NextBytes(Span<byte> buffer)
    {
        Span<byte> eight = stackalloc byte[8];
        for (; buffer.Length > 0; buffer = buffer[Math.Min(8, buffer.Length)..])
        {
            BinaryPrimitives.WriteUInt64LittleEndian(eight, Draw());
            eight[..Math.Min(8, buffer.Length)].CopyTo(buffer);
        }
    }

    protected override double Sample() => NextDouble();

    /// <summary>0 to the bound, without the bound, each equally likely: what falls into the incomplete last part of the range is drawn
    /// again. 0 for 0.</summary>
    private ulong Below(ulong bound)
    {
        while (true)
        {
            var high = Math.BigMul(Draw(), bound, out var low);
            if (bound == 0 || low >= (0 - bound) % bound)
            {
                return high;
            }
        }
    }

    private ulong Draw()
    {
        _inTurn();
        var result = BitOperations.RotateLeft(_s1 * 5, 7) * 9;
        var shifted = _s1 << 17;
        _s2 ^= _s0;
        _s3 ^= _s1;
        _s1 ^= _s2;
        _s0 ^= _s3;
        _s2 ^= shifted;
        _s3 = BitOperations.RotateLeft(_s3, 45);
        return result;
    }

    private static ulong SplitMix64(ref ulong state)
    {
        state += 0x9E3779B97F4A7C15;
        var mixed = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
        return mixed ^ (mixed >> 31);
    }
}
