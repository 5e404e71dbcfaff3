using System.Globalization;
using System.Text;

namespace Actors.Benchmarks;

/// <summary>A report that is printed as it grows.</summary>
internal sealed class Lines
{
    private readonly StringBuilder _text = new();

    public Lines(FormattableString title) => Add($"# {title.ToString(CultureInfo.InvariantCulture)}");

    public void Add(FormattableString line)
    {
        var written = line.ToString(CultureInfo.InvariantCulture);
        Console.WriteLine(written);
        _text.AppendLine(written);
    }

    public override string ToString() => _text.ToString();
}
