using System.Collections;
using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Collections.ObjectModel;
using System.Net;
using System.Numerics;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Actors.Calling;
using Xunit;

namespace Actors.Grains.Tests.Calling;

/// <summary>What is recorded is what comes back, or it is refused before anything is written. The list of docs/PAYLOADS.md, in
/// types.</summary>
public sealed class CarriedTests
{
    private static readonly PayloadSerializer Payloads = new();

    private static readonly (Type Type, object? Value)[] Carried =
    [
        .. Of(true, 'x', "text ü 😀", (byte)1, (sbyte)-1, (short)-2, (ushort)2, -3, 3u, -4L, 4UL, 1.5f, 1.5, 1.5m, 12345678901234567890.123m,
            (Half)1.5, Int128.MaxValue, UInt128.MaxValue),
        .. Of(double.MaxValue, double.Epsilon, long.MinValue, ulong.MaxValue, DayOfWeek.Friday,
            AttributeTargets.Class | AttributeTargets.Enum),
        .. Of(Guid.NewGuid(), new Uri("https://example.org/a?b=c"), new Version(1, 2, 3), TimeSpan.FromTicks(1), TimeSpan.MinValue,
            DateOnly.MaxValue, TimeOnly.MaxValue),
        .. Of(new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.FromHours(2)), DateTimeOffset.MaxValue,
            new DateTime(2026, 1, 2, 3, 4, 5, DateTimeKind.Utc), new DateTime(2026, 1, 2, 3, 4, 5)),
        (typeof(int?), null), (typeof(int?), 1), (typeof(string), null), (typeof(DateOnly?), DateOnly.MinValue), (typeof(object), null),
        .. Of(new byte[] { 0, 255 }, new[] { 1, 2 }, new[] { "a", null }, new int[][] { [1], [] }, Array.Empty<string>(),
            new Memory<byte>([1, 2]), new ReadOnlyMemory<byte>([3])),
        .. Of(new List<int> { 1 }, new HashSet<string> { "a" }, new Queue<int>([1, 2]), new LinkedList<int>([1, 2]),
            new SortedSet<int> { 2, 1 }, new Collection<int> { 1 }),
        .. Of(new ObservableCollection<int> { 1 }, new ConcurrentQueue<int>([1, 2]), new List<List<int>> { new() { 1 } },
            new List<Point> { new(1, 2) }),
        .. Of(ImmutableArray.Create(1, 2), ImmutableList.Create(1, 2), ImmutableQueue.Create(1, 2), ImmutableSortedSet.Create(1, 2)),
        .. Of(new Dictionary<string, int> { ["z"] = 1, ["a"] = 2 }, new Dictionary<int, string> { [1] = "a" }, new Dictionary<Guid,
            int> { [Guid.Empty] = 1 }, new SortedDictionary<string, int> { ["a"] = 1 }),
        .. Of(new SortedList<string, int> { ["a"] = 1 }, new ConcurrentDictionary<string, int>([new("a", 1)]),
            ImmutableSortedDictionary.CreateRange([KeyValuePair.Create("a", 1)])),
        .. Of(new Dictionary<DayOfWeek, Point> { [DayOfWeek.Monday] = new(1, 2) }, new Dictionary<DateTime,
            int> { [new(2026, 1, 1, 0, 0, 0, DateTimeKind.Utc)] = 1 }),
        (typeof(IEnumerable<int>), new List<int> { 1 }), (typeof(IReadOnlyList<int>), new List<int> { 1 }),
        (typeof(IList<int>), new List<int> { 1 }), (typeof(ICollection<int>), new List<int> { 1 }),
        (typeof(ISet<int>), new HashSet<int> { 1 }), (typeof(IDictionary<string, int>), new Dictionary<string, int> { ["a"] = 1 }),
        (typeof(IReadOnlyDictionary<string, int>), new Dictionary<string, int> { ["a"] = 1 }),
        (typeof(IImmutableList<int>), ImmutableList.Create(1)),
        .. Of(KeyValuePair.Create("a", 1), Tuple.Create(1, "a"), new Point(1, 2), new PointStruct(1, 2), new MarkedPoint(1, 2),
            new Settable { Name = "a", Numbers = [1] }),
        .. Of(new Initialized { Name = "a" }, new Constructed("a"), new Included("a"), new IncludedField { Count = 1 },
            new Manual { Count = 2 }, new Computed { Width = 2, Height = 3 }),
        .. Of(new Ignored { Kept = 1 }, new Cached("a"), new Inheriting { Own = 1, Name = "a" }, new Overriding { Count = 1 },
            new Virtual { Count = 2 }, new Generic<int>(1), new Nested(new Point(1, 2), [new(3, 4)])),
        .. Of(new Extended { Rest = new() { ["more"] = JsonSerializer.SerializeToElement(1) } }, new Required { Name = "a" },
            new Listened { Count = 1 }, new Money(5), new Recursive(1, new Recursive(2, null))),
        (typeof(Shape), new Circle(1)), (typeof(Shape), new Square(2)), (typeof(IShape), new Disc(3)),
        (typeof(LeftOut), new LeftOut { Name = "a" }), (typeof(List<Shape>), new List<Shape> { new Circle(1), new Square(2) }),
        .. Of(new Period(1, 2), new Captured(5, "a"), new OverridesBase { Name = "a" }, new Filled { Items = { 1 } },
            new CardStack<int> { 1, 2 }, new Explicit { Count = 1 }, new Positional { Value = 1 }),
        .. Of(JsonSerializer.SerializeToElement(new[] { 1 }), JsonNode.Parse("[1]")!.AsArray(), new NothingAtAll(),
            new StringComparison?[] { null, StringComparison.Ordinal }),
    ];

    private static readonly (Type Type, string Says)[] Refused =
    [
        (typeof(BigInteger), "BigInteger._sign would be lost"), (typeof(Complex), "Complex.m_real would be lost"),
        (typeof(Vector3), "Vector3.X would be lost"), (typeof(IPAddress), "is IPAddress, which cannot be read back"),
        (typeof(IReadOnlySet<int>), "cannot be read back: use a list"), (typeof(ReadOnlyPoint), "ReadOnlyPoint.X would be lost"),
        (typeof((int, string)), "is a tuple, whose fields JSON loses"), (typeof(List<(int, int)>), "is a tuple"),
        (typeof(Stack<int>), "comes back upside down"), (typeof(ConcurrentStack<int>), "upside down"),
        (typeof(ImmutableHashSet<string>), "whose order is another in each process"),
        (typeof(IImmutableDictionary<string, int>), "whose order is another"), (typeof(Stack), "upside down"),
        (typeof(Unbound), "no property has the name and type of its constructor's parameter 'value'"),
        (typeof(UnboundType), "parameter 'sum'"),
        (typeof(Fruit), "whose Apple JSON cannot tell from others"), (typeof(AnyFruit), "whose Pear JSON cannot tell from others"),
        (typeof(NotAlwaysWritten), "whose name is required and not always written"),
        (typeof(IgnoredWhenNull), "IgnoredWhenNull.Name would be lost"),
        (typeof(Dictionary<object, int>), "have no type to come back as"), (typeof(Hashtable), "have no type"),
        (typeof(System.Collections.Specialized.StringCollection), "have no type"),
        (typeof(OneMore), "they would come back twice"), (typeof(BeginsWithFive), "begins with another value"),
        (typeof(ImmutableStack<int>), "upside down"), (typeof(Undo), "upside down"), (typeof(Vehicle), "Bicycle.Gears would be lost"),
        (typeof(CapturedAlone), "CapturedAlone.<hidden>P would be lost"), (typeof(PrivateSetter), "PrivateSetter.Count would be lost"),
        (typeof(GetOnly), "GetOnly.Count would be lost"), (typeof(GetOnlyList), "GetOnlyList.Items would be lost"),
        (typeof(PublicField), "PublicField.Count would be lost"), (typeof(Hidden), "Hidden._count would be lost"),
        (typeof(HiddenBase), "Hidden._count would be lost"), (typeof(Animal), "of which JSON cannot tell what it was"),
        (typeof(IAnimal), "is IAnimal, of which JSON"), (typeof(Holds<Animal>), "is Animal, of which JSON"),
        (typeof(List<IAnimal>), "is IAnimal, of which JSON"), (typeof(Dictionary<string, BigInteger>), "BigInteger._sign"),
        (typeof(Page), "Page.Total would be lost in JSON, which carries the elements"),
        (typeof(ReadOnlyItems), "cannot be read back: use a list"), (typeof(NoConstructor), "NoConstructor, which cannot be read back"),
        (typeof(Exception), "would be lost"), (typeof(Lazy<int>), "Lazy`1."), (typeof(Action), "is the delegate Action"),
        (typeof(Stream), "is Stream, which JSON cannot carry"), (typeof(int[,]), "which JSON cannot carry"),
        (typeof(Task<int>), "which is no value yet"), (typeof(CancellationToken), "is a CancellationToken"),
        (typeof(IAsyncEnumerable<int>), "a stream: use a list"), (typeof(nint), "memory of this process"),
        (typeof(Type), "which JSON cannot carry"), (typeof(Holds<PrivateSetter>), "PrivateSetter.Count"),
        (typeof(PrivateSetter[]), "PrivateSetter.Count"), (typeof(PointField?), "PointField.X would be lost"),
    ];

    private sealed class Unbound(decimal value)
    {
        public decimal Sum { get; set; } = value;
    }

    private sealed class UnboundType(long sum)
    {
        public int Sum { get; set; } = (int)sum;
    }

    [JsonDerivedType(typeof(Apple))]
    private class Fruit
    {
        public string? Name { get; set; }
    }

    private sealed class Apple : Fruit
    {
        public int Seeds { get; set; }
    }

    [JsonDerivedType(typeof(Pear))]
    private abstract class AnyFruit;

    private sealed class Pear : AnyFruit
    {
        public int Seeds { get; set; }
    }

    private sealed class NotAlwaysWritten
    {
        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
        public required string? Name { get; init; }
    }

    private sealed class IgnoredWhenNull
    {
        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
        public string? Name { get; private set; }

        public void Call(string name) => Name = name;
    }

    private sealed class LeftOut
    {
        [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
        public required string Name { get; init; }

        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
        public List<string> Tags { get; set; } = []; // Never null.

        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
        public int Letters => 1 + Tags.Count; // Computed.

        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
        public int Count { get; set; }
    }

    private sealed class BeginsWithFive
    {
        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
        public int Count { get; set; } = 5;
    }

    private sealed class OneMore : List<int>
    {
        public OneMore() => Add(1);
    }

    public static TheoryData<int> CarriedPlaces => [.. Enumerable.Range(0, Carried.Length)];

    public static TheoryData<int> RefusedPlaces => [.. Enumerable.Range(0, Refused.Length)];

    [Fact]
    public void More_than_a_hundred_types_are_in_the_list() =>
        Assert.InRange(Carried.Select(one => one.Type).Concat(Refused.Select(one => one.Type)).Distinct().Count(), 101, 1_000);

    [Theory]
    [MemberData(nameof(CarriedPlaces))]
    public void It_comes_back_as_it_was(int place)
    {
        var (type, value) = Carried[place];
        Assert.Null(JsonLoss.Fault(type));
        var back = Payloads.Read(Payloads.Write(value, type, $"it"), type, $"it");
        Assert.Equal(Payloads.Write(value, type, $"it").Data, Payloads.Write(back, type, $"it").Data);
        if (type != typeof(object) && value is not (JsonElement or JsonNode))
        {
            Assert.Equivalent(value, back, strict: true);
            Assert.True(value is not IEnumerable || value.Equals(back)
                || ((IEnumerable)value).Cast<object?>().SequenceEqual(((IEnumerable)back!).Cast<object?>(), JsonEquality.Instance),
                $"{type}: the order");
            Assert.Equal(value?.GetType().IsValueType, back?.GetType().IsValueType);
        }
    }

    [Theory]
    [MemberData(nameof(RefusedPlaces))]
    public void It_is_refused_with_the_member_that_would_be_lost(int place) =>
        Assert.Contains(Refused[place].Says, JsonLoss.Fault(Refused[place].Type), StringComparison.Ordinal);

    [Fact]
    public void A_value_that_is_more_than_its_declared_type_is_refused_at_any_depth()
    {
        foreach (var (value, type) in new (object, Type)[]
        {
            (new Colored(1, 2, "red"), typeof(PointBase)), (new List<PointBase> { new Colored(1, 2, "red") }, typeof(List<PointBase>)),
            (new Holds<PointBase> { Held = new Colored(1, 2, "red") }, typeof(Holds<PointBase>)),
            (new Dictionary<string, PointBase> { ["a"] = new Colored(1, 2, "red") }, typeof(Dictionary<string, PointBase>)),
        })
        {
            Assert.Null(JsonLoss.Fault(type));
            var error = Assert.Throws<PayloadException>(() => Payloads.Write(value, type, $"It"));
            Assert.StartsWith("It: a Colored stands where PointBase is declared, and its own members would be lost", error.Message,
                StringComparison.Ordinal);
        }

        Assert.Equal("[{\"x\":1,\"y\":2}]",
            JsonSerializer.Serialize(Payloads.Read<JsonElement>(Payloads.Write(new List<PointBase> { new(1, 2) }, $"it"), $"it")));
    }

    [Fact]
    public void A_collection_that_has_more_than_its_elements_is_refused_where_it_stands_for_another()
    {
        foreach (var (value, type) in new (object, Type)[]
        {
            (new Page { 1 }, typeof(List<int>)), (new Page { 1 }, typeof(IReadOnlyList<int>)),
            (new Holds<List<int>> { Held = new Page() }, typeof(Holds<List<int>>)),
        })
        {
            Assert.Contains("Page.Total would be lost", Assert.Throws<PayloadException>(() => Payloads.Write(value, type, $"It")).Message,
                StringComparison.Ordinal);
        }

        Assert.Equal([1, 2], Payloads.Read<IReadOnlyList<int>>(Payloads.Write<IReadOnlyList<int>>(new List<int> { 1, 2 }, $"it"), $"it"));
    }

    [Fact]
    public void Half_a_surrogate_pair_in_an_address_is_refused()
    {
        Assert.Throws<PayloadException>(() => Payloads.Write(new Uri("/a\uD83D", UriKind.Relative), $"It"));
        var whole = new Uri("/\uFFFD/😀", UriKind.Relative);
        Assert.Equal(whole, Payloads.Read<Uri>(Payloads.Write(whole, $"it"), $"it"));
    }

    [Theory]
    [InlineData(0, 4, false)]
    [InlineData(0, 3, true)]
    [InlineData(3, 1, true)]
    [InlineData(4, 5, false)]
    public void Half_a_surrogate_pair_is_refused_wherever_it_stands(int from, int length, bool refused)
    {
        var text = "ab😀 a \uFFFD that was there".Substring(from, length);
        foreach (var (value, type) in new (
            object, Type)[] { (text, typeof(string)), (new List<string> { text }, typeof(List<string>)),
            (new Dictionary<string, int> { [text] = 1 }, typeof(Dictionary<string, int>)),
            (new Settable { Name = text }, typeof(Settable)) })
        {
            if (refused)
            {
                Assert.Contains("half of a surrogate pair",
                    Assert.Throws<PayloadException>(() => Payloads.Write(value, type, $"It")).Message, StringComparison.Ordinal);
            }
            else
            {
                Assert.Equivalent(value, Payloads.Read(Payloads.Write(value, type, $"it"), type, $"it"));
            }
        }
    }

    [Fact]
    public void Half_a_surrogate_pair_in_characters_is_refused()
    {
        Assert.Throws<PayloadException>(() => Payloads.Write('\uD83D', $"It"));
        Assert.Throws<PayloadException>(() => Payloads.Write("😀".ToCharArray(), $"It"));
        Assert.Equal("ü", new string(Payloads.Read<char[]>(Payloads.Write("ü".ToCharArray(), $"it"), $"it")));
    }

    [Fact]
    public void A_local_time_comes_back_as_the_same_instant_in_UTC()
    {
        var local = new DateTime(2026, 7, 1, 12, 0, 0, DateTimeKind.Local);
        var back = Payloads.Read<DateTime>(Payloads.Write(local, $"it"), $"it");
        Assert.Equal((local.ToUniversalTime(), DateTimeKind.Utc), (back, back.Kind));
        Assert.Equal(new DateTime(2026, 7, 1, 10, 0, 0, DateTimeKind.Utc),
            Payloads.Read<DateTime>(new Wire.Payload("\"2026-07-01T12:00:00+02:00\""u8.ToArray()), $"it"));
    }

    private static IEnumerable<(Type, object?)> Of(params object[] values) => values.Select(value => (value.GetType(), (object?)value));

    private sealed class JsonEquality : IEqualityComparer<object?>
    {
        public static readonly JsonEquality Instance = new();

        public new bool Equals(object? x, object? y) =>
            JsonSerializer.Serialize(x, x?.GetType() ?? typeof(object)) == JsonSerializer.Serialize(y, y?.GetType() ?? typeof(object));

        public int GetHashCode(object? obj) => 0;
    }

// These types only have to be read.
#pragma warning disable CA1051, CA1822, IDE0044, IDE0051, IDE0052, CA1710, CS0067, CS0169, CS0414, CS9124
    public sealed record Point(int X, int Y);
    public readonly record struct PointStruct(int X, int Y);
    public readonly struct ReadOnlyPoint(int x, int y) { public int X { get; } = x; public int Y { get; } = y; }
    [method: JsonConstructor] public readonly struct MarkedPoint(int x, int y) { public int X { get; } = x; public int Y { get; } = y; }
    public struct PointField { public int X; }
    public sealed class Settable { public string Name { get; set; } = ""; public List<int> Numbers { get; set; } = []; }
    public sealed class Initialized { public string Name { get; init; } = ""; }
    public sealed class Required { public required string Name { get; init; } }
    public sealed class Constructed(string name) { public string Name { get; } = name; }
    public sealed class Included { [JsonConstructor] private Included() { } public Included(string name) =>
        Name = name; [JsonInclude] public string Name { get; private set; } = ""; }
    public sealed class IncludedField { [JsonInclude] public int Count; }
    public sealed class Manual { private int _count; public int Count { get => _count; set => _count = value; } }
    public sealed class Computed { public int Width { get; set; } public int Height { get; set; } public int Area => Width * Height; }
    public sealed class Ignored { public int Kept { get; set; } [JsonIgnore] public int Lost { get; private set; } }
    public sealed class Cached(
        string name) { [NonSerialized] private int _hash; public string Name { get; } = name; public int Hash() => _hash = Name.Length; }
    public class Base { public string Name { get; set; } = ""; }
    public sealed class Inheriting : Base { public int Own { get; set; } }
    public class Virtual { public virtual int Count { get; set; } }
    public sealed class Overriding : Virtual { public override int Count { get; set; } }
    public sealed record Generic<T>(T Value);
    public sealed record Nested(Point One, List<Point> Many);
    public sealed record Recursive(int Value, Recursive? Next);
    public sealed class Extended { [JsonExtensionData] public Dictionary<string, JsonElement> Rest { get; set; } = []; }
    public sealed class Listened { public int Count { get; set; } public event Action? Changed; }
    public sealed class NothingAtAll;
    [JsonConverter(typeof(MoneyConverter))] public sealed class Money(
        int cents) { private readonly int _cents = cents; public int Cents() => _cents; public override bool Equals(object? obj) =>
        obj is Money other && other._cents == _cents; public override int GetHashCode() => _cents; }
    public sealed class MoneyConverter : JsonConverter<Money>
    {
        public override Money Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => new(reader.GetInt32());
        public override void Write(Utf8JsonWriter writer, Money value, JsonSerializerOptions options) =>
            writer.WriteNumberValue(value.Cents());
    }

    [JsonDerivedType(typeof(Circle), "circle")]
    [JsonDerivedType(typeof(Square), "square")]
    public abstract record Shape;
    public sealed record Circle(int Radius) : Shape;
    public sealed record Square(int Side) : Shape;
    [JsonDerivedType(typeof(Disc), "disc")] public interface IShape;
    public sealed record Disc(int Radius) : IShape;
    public record PointBase(int X, int Y);
    public sealed record Colored(int X, int Y, string Color) : PointBase(X, Y);
    public sealed class Holds<T> { public T? Held { get; set; } }
    public sealed class PrivateSetter { public int Count { get; private set; } }
    public sealed class GetOnly { public int Count { get; } = 1; }
    public sealed class GetOnlyList { public List<int> Items { get; } = []; }
    public sealed class PublicField { public int Count; }
    public class Hidden { private int _count; public int Shown { get; set; } }
    public sealed class HiddenBase : Hidden { public int Own { get; set; } }
    public abstract class Animal { public string Name { get; set; } = ""; }
    public interface IAnimal { string Name { get; } }
    public sealed record Period(int From, int To) { public (int, int) Range => (From, To); public Stack<int> Both => new([From, To]); }
    public sealed class Captured(
        int price, string name) { public int Price { get; } = price; public string Name => name; public int Twice() => 2 * price; }
    public class HandWritten { private string _name = ""; public virtual string Name { get => _name; set => _name = value; } }
    public sealed class OverridesBase : HandWritten { public override string Name { get => base.Name; set => base.Name = value; } }
    [JsonObjectCreationHandling(JsonObjectCreationHandling.Populate)] public sealed class Filled { public List<int> Items { get; } = []; }
    public sealed class CardStack<T> : List<T>;
    public interface ICounted { int Count { get; } }
    public sealed class Explicit : ICounted { public int Count { get; set; } int ICounted.Count => Count; }
    public record struct Positional { public int Value { get; set; } }
    public sealed class Undo : Stack<string>;
    [JsonDerivedType(typeof(Bicycle), "bicycle")] public class Vehicle { public int Wheels { get; set; } }
    public sealed class Bicycle : Vehicle { public int Gears { get; private set; } }
    public sealed class CapturedAlone(int hidden) { public int Shown { get; set; } public int Twice() => 2 * hidden; }
    public sealed class Page : List<int> { public int Total { get; set; } }
    public sealed class ReadOnlyItems(IEnumerable<int> items)
        : IEnumerable<int> { public IEnumerator<int> GetEnumerator() => items.GetEnumerator(); IEnumerator IEnumerable.GetEnumerator() =>
        GetEnumerator(); }
    public sealed class NoConstructor { private NoConstructor() { } public int Count { get; set; } public static NoConstructor Make() =>
        new(); }
}
